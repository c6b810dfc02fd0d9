"""A store whose ledger was lost or replaced by an older copy: nothing is collected into it until the ledger is rebuilt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from base.times import DAY_US
from deployment.collecting import collecting
from deployment.errors import CollectionUnderWay, UsageError
from deployment.local.ledger_rebuild import rebuild
from deployment.local.role_lock import alone
from featurestore.define.definitions import FeatureView
from featurestore.define.views_file import load_views
from featurestore.store import Store
from federation.errors import LedgerBehind, PaneBeforeRebuild
from federation.ledger.operator import LEDGERS, OPERATOR
from federation.ledger.state import Budget
from tests.covey.conftest import VIEWS
from tests.pipeline import LATER

from .test_in_process import run

Covey = Callable[..., tuple[int, str, str]]
PLENTY = Budget(10_000_000)
MAY = 18_383  # 2020-05-01, the first of three days with events


@pytest.fixture
def views(tmp_path: Path) -> Sequence[FeatureView]:
    (tmp_path / "views.py").write_text(VIEWS)
    return load_views(tmp_path / "views.py")


def collect(views: Sequence[FeatureView], store: Path, *days: int) -> None:
    run(views, store, days=(days[0], days[-1] + 1), budget=PLENTY)


def panes(store: Path) -> int:
    with Store.open(store) as opened:
        return sum(opened.releases(view.name).num_rows for view in opened.views())


@pytest.mark.parametrize("loss", ["deleted", "an older copy"])
def test_a_store_refuses_to_collect_with_a_ledger_that_does_not_know_its_releases(
    views: Sequence[FeatureView], tmp_path: Path, loss: str
) -> None:
    store, ledgers = tmp_path / "s", tmp_path / "s" / LEDGERS
    collect(views, store, MAY)
    older = shutil.copytree(ledgers, tmp_path / "older")
    collect(views, store, MAY + 1)
    shutil.rmtree(ledgers)
    if loss == "an older copy":
        shutil.copytree(older, ledgers)
    before, missing = panes(store), {"deleted": 4, "an older copy": 2}[loss]
    for _ in range(2):  # the first refusal makes no ledger that knows nothing and is accepted
        with pytest.raises(LedgerBehind, match=rf"lacks {missing} plan\(s\) whose releases are in the store.*rebuild"):
            collect(views, store, MAY + 2)
    assert panes(store) == before

    made = rebuild(store, OPERATOR, lambda: LATER, although_intact=False)
    assert made.entry.at_us >= LATER
    with pytest.raises(PaneBeforeRebuild):
        collect(views, store, MAY + 2)
    assert panes(store) == before
    with pytest.raises(UsageError, match="is intact and has every plan"):
        rebuild(store, OPERATOR, lambda: LATER, although_intact=False)


def test_a_loss_after_a_rebuild_is_noticed_again(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, ledgers, at = tmp_path / "s", tmp_path / "s" / LEDGERS, (MAY + 1) * DAY_US + DAY_US // 2
    collect(views, store, MAY)
    shutil.rmtree(ledgers)
    rebuild(store, OPERATOR, lambda: at, although_intact=False)
    rebuilt = shutil.copytree(ledgers, tmp_path / "rebuilt")
    collect(views, store, MAY + 2)
    shutil.rmtree(ledgers)
    shutil.copytree(rebuilt, ledgers)
    with pytest.raises(LedgerBehind, match="lacks 2 plan"):
        collect(views, store, MAY + 3)


def test_a_ledger_is_not_rebuilt_while_something_charges_it(views: Sequence[FeatureView], tmp_path: Path) -> None:
    store = tmp_path / "s"
    collect(views, store, MAY)
    shutil.rmtree(store / LEDGERS)
    with collecting(store), pytest.raises(CollectionUnderWay):
        rebuild(store, OPERATOR, lambda: LATER, although_intact=False)
    with alone(store, "helper"), pytest.raises(UsageError, match="another helper runs"):
        rebuild(store, OPERATOR, lambda: LATER, although_intact=False)
    assert not list((store / LEDGERS).glob("*.db"))


def test_the_command_names_itself_as_the_mend_and_says_what_it_closed(
    covey: Covey, project: Path, run_arguments: list[str]
) -> None:
    store = project / "store"
    assert covey(*run_arguments)[0] == 0
    code, _, err = covey("ledger", "rebuild", "--store", store)
    assert (code, "is intact" in err, "see --force" in err) == (2, True, True), err
    shutil.rmtree(store / LEDGERS)
    code, _, err = covey(*run_arguments, "--from", "2020-05-04", "--to", "2020-05-05")
    assert (code, "rebuild the ledger" in err, "`covey ledger rebuild`" in err) == (1, True, True), err
    code, _, err = covey("ledger", "rebuild", "--store", store)
    assert (code, "every pane that had ended counts as taken" in err) == (0, True), err
    code, _, err = covey(*run_arguments, "--from", "2020-05-04", "--to", "2020-05-05")
    assert (code, "may have been opened before the loss" in err) == (4, True), err
    code, out, _ = covey("ledger", "show", "--store", store, "--json")
    (ledger,) = json.loads(out)["ledgers"]
    assert (code, ledger["entries"], ledger["rebuilt_at"] is not None) == (0, 2, True)
    assert "rebuilt " in covey("ledger", "show", "--store", store)[1]
