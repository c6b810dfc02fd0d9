"""Runs in one process with the finish mpc: shown values equal the plaintext finish; runs are refused, cut off, continued."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aggregator.errors import MpcFailed
from aggregator.mpc import finish as mpc_finish
from crypto.errors import CrypTenMissing
from deployment import request
from deployment.errors import RunRefused
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.views_file import load_views
from featurestore.store import Store
from federation.largest_sum import largest_sum
from federation.ledger.operator import LEDGERS, operator_path
from tests.covey.conftest import VIEWS, make_events
from tests.pipeline import run_views

needs_crypten = pytest.mark.skipif(
    importlib.util.find_spec("crypten") is None or importlib.util.find_spec("torch") is None,
    reason="CrypTen is not installed (extra `mpc`, then pip install --no-deps crypten)",
)


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Sequence[FeatureView]:
    """The view `visits` only: three panes of three shops. One shop has fewer than 18 people a day."""
    file = tmp_path_factory.mktemp("views") / "views.py"
    file.write_text(VIEWS)
    view = next(view for view in load_views(file) if view.name == "visits")
    return [dataclasses.replace(view, privacy=dataclasses.replace(view.privacy, suppress_below=18), min_coverage=0)]


def run(views: Sequence[FeatureView], directory: Path, **changes: Any) -> Any:
    given: dict[str, Any] = {"client": "who", "time": "at", "noise_seed": 4, "finish": "mpc"} | changes
    return run_views(views, make_events(), directory, **given)


def published(directory: Path) -> list[dict[str, Any]]:
    with Store.open(directory) as store:
        rows: list[dict[str, Any]] = store.history("visits").drop(["published_at"]).to_pylist()
        return rows


@pytest.fixture(scope="module")
def finished(views: Sequence[FeatureView], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three panes, finished by CrypTen."""
    directory = tmp_path_factory.mktemp("mpc")
    run(views, directory)
    return directory


@needs_crypten
def test_every_pane_feature_is_as_if_all_had_been_opened_and_windows_hold_what_was(
    views: Sequence[FeatureView], finished: Path, tmp_path: Path
) -> None:
    run(views, tmp_path, finish="open")
    rows = list(zip(published(finished), published(tmp_path), strict=True))
    pane_features = [feature.name for feature in views[0].features]
    statuses = {mine["people__status"] for mine, _ in rows}
    assert statuses == {"OK", "SUPPRESSED"}
    for mine, theirs in rows:
        for name in pane_features:
            assert mine[name] == theirs[name]
            assert mine[f"{name}__status"] == theirs[f"{name}__status"]
            assert mine[f"{name}__se"] == theirs[f"{name}__se"]
    for shop in ("a", "b", "c,d=e"):
        of_shop = [mine for mine, _ in rows if mine["shop"] == shop]
        for before, mine in zip([None, *of_shop], of_shop, strict=False):
            shown = [row for row in (before, mine) if row is not None and row["people__status"] == "OK"]
            assert mine["coverage_2d"] == len(shown) / 2
            assert mine["visits_2d"] == sum(row["visits"] for row in shown)


@needs_crypten
def test_releases_say_how_they_were_finished_and_hold_nothing_of_suppressed_cells(
    views: Sequence[FeatureView], finished: Path
) -> None:
    with Store.open(finished) as store:
        releases = [store.release(bytes.fromhex(one)) for one in store.releases("visits")["release_id"].to_pylist()]
    (slot,) = layout_of(views[0]).client_counts
    suppressed = 0
    for release in releases:
        assert (release.manifest.finish, release.manifest.trust, release.manifest.noisers) == ("mpc", "in-process", 2)
        small = release.slots[:, slot] < 18
        suppressed += int(small.sum())
        assert not release.slots[small].any()
    assert suppressed


@needs_crypten
def test_a_run_whose_party_dies_publishes_nothing_and_is_continued(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    make = mpc_finish.MpcProcess

    def short_lived(role: Any, *args: Any) -> Any:
        started.append(make(role, *args))
        if role == "helper":
            os.kill(started[-1]._process.pid, signal.SIGKILL)
        return started[-1]

    with monkeypatch.context() as patched:
        patched.setattr(mpc_finish, "MpcProcess", short_lived)
        with pytest.raises(MpcFailed, match="the process of the helper"):
            run(views, tmp_path)
    assert len(started) == 3
    assert published(tmp_path) == []
    with pytest.raises(RunRefused, match="finish mpc"):
        run(views, tmp_path, finish="open")  # its panes are opened as in its plan, or never
    (report,) = run(views, tmp_path)
    assert report.opened == 3


def test_what_cannot_be_finished_is_refused_before_anything_is_charged(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "require_crypten", lambda: None)  # no run here gets to the finish
    plain = dataclasses.replace(views[0].privacy, suppress_below=None)
    with pytest.raises(RunRefused, match="view 'visits' has no suppress_below"):
        run([dataclasses.replace(views[0], privacy=plain)], tmp_path)
    with pytest.raises(RunRefused, match="finish 'mpc' requires noise 'full'"):
        run(views, tmp_path, noise_seed=None)
    with pytest.raises(RunRefused, match="finish 'mpc' requires protection 'shares'"):
        run(views, tmp_path, protection="he")
    monkeypatch.setattr(mpc_finish, "largest_sum", lambda layout, clients: largest_sum(layout, clients) << 32)
    with pytest.raises(RunRefused, match=r"visits: .* values of up to \d+ bits .*fewer days"):
        run(views, tmp_path)
    ledger = operator_path(tmp_path / LEDGERS)
    monkeypatch.undo()
    run(views, tmp_path, finish="open")  # the pane is still free
    assert ledger.exists()


def test_without_crypten_it_says_what_to_install(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CrypTenMissing, match="pip install --no-deps crypten"):
        run(views, tmp_path)
    assert not (tmp_path / "store").exists()
