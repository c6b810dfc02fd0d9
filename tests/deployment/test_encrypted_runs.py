"""Runs in one process under homomorphic encryption: exact, with the stated noise, charged, cut off and continued."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from base.errors import ExtraMissing
from base.times import DAY_US
from crypto.noise import SeededNoise
from deployment.errors import RunRefused, UsageError
from deployment.in_process import run as in_process
from deployment.in_process.enrolment import Enrolment
from deployment.request import CollectionRequest
from edge_client import encrypting
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Histogram
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.views_file import load_views
from featurestore.store import Store
from federation.he import protocol as he_protocol
from federation.ledger.operator import LEDGERS, OPERATOR, operator_path
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import Budget
from federation.terms import Noise
from simulations.datasets.flights import CLIENT_COLUMN, SITE_COLUMN, TIME_COLUMN, flight_views, load_flights
from tests.covey.conftest import VIEWS, make_events
from tests.examples import examples
from tests.federation.words import terms_in_words
from tests.ledgers import spent_of
from tests.oracle import oracle
from tests.pipeline import assert_equal_to_oracle, run_views
from tests.strategies import Case, cases

pytest.importorskip("tenseal", reason="the extra `he` is not installed")
pytest.importorskip("zstandard", reason="the extra `he` is not installed")

MAY = 18_383  # 2020-05-01, the first of three days


@pytest.fixture
def views(tmp_path: Path) -> Sequence[FeatureView]:
    """The view `visits` only: three panes."""
    (tmp_path / "views.py").write_text(VIEWS)
    return [view for view in load_views(tmp_path / "views.py") if view.name == "visits"]


def run(views: Sequence[FeatureView], directory: Path, table: pa.Table | None = None, **changes: Any) -> Any:
    given: dict[str, Any] = {"protection": "he", "client": "who", "time": "at", "site": "site"} | changes
    return run_views(views, make_events() if table is None else table, directory, **given)


def published(directory: Path) -> list[dict[str, Any]]:
    with Store.open(directory) as store:
        rows: list[dict[str, Any]] = store.history("visits").drop(["published_at"]).to_pylist()
        return rows


def test_a_day_of_flights_equals_the_oracle_and_the_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encrypting, "WORTH_IT", 1)  # encrypt in several processes
    flights = load_flights()
    view = flight_views(flights)[0]
    day = (date(2013, 3, 4) - date(1970, 1, 1)).days
    columns = {"client": CLIENT_COLUMN, "time": TIME_COLUMN, "site": SITE_COLUMN}
    for protection in ("shares", "he"):
        terms: dict[str, Any] = {"days": (day, day + 1), "protection": protection, "site_clients": 1_024}
        run_views([view], flights, tmp_path / protection, **terms, **columns)
    expected = oracle(
        view,
        flights,
        client_column=CLIENT_COLUMN,
        time_column=TIME_COLUMN,
        site_column=SITE_COLUMN,
        days=[day],
        min_clients=view.privacy.min_clients,
    )
    found = []
    for protection in ("shares", "he"):
        with Store.open(tmp_path / protection) as store:
            found.append(store.history(view.name).drop(["published_at"]))
            assert_equal_to_oracle(found[-1], expected, view.entity.keys)
    assert found[0].equals(found[1])


@settings(
    deadline=None, max_examples=examples(24), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(case=cases(panes=("1d", "1h")))
def test_random_events_equal_the_oracle(case: Case) -> None:
    with tempfile.TemporaryDirectory() as directory:
        run_views(
            [case.view],
            case.events,
            Path(directory),
            client=case.client_column,
            time=case.time_column,
            site=case.site_column,
            days=(min(case.days), max(case.days) + 1),
            min_clients=case.min_clients,
            protection="he",
        )
        with Store.open(directory) as store:
            mine = store.history(case.view.name)
    expected = oracle(
        case.view,
        case.events,
        client_column=case.client_column,
        time_column=case.time_column,
        site_column=case.site_column,
        days=case.days,
        min_clients=case.min_clients,
    )
    assert_equal_to_oracle(mine, expected, case.view.entity.keys)


def test_with_noise_the_error_is_the_standard_error_that_is_served(tmp_path: Path) -> None:
    """A feature has 3,600 values, so their root mean square has a standard error of 1.2 %."""
    view = FeatureView(
        "v",
        entity=Entity("k", domain=range(300)),
        features=[Count("n"), ClientCount("c"), Histogram("x", edges=[0.5])],
        pane="1d",
        bounds=Bounds(300, 1),
        privacy=Privacy(rho=20.0, min_clients=2),
    )
    day, key, who = (a.reshape(-1) for a in np.meshgrid(np.arange(12), np.arange(300), np.arange(6)))
    x = np.random.default_rng(3).random(len(day))
    events = pa.table({"who": who, "k": key, "t": pa.array((MAY + day) * DAY_US, pa.timestamp("us")), "x": x})
    for name, noise_seed in (("private", 5), ("exact", None)):
        run([view], tmp_path / name, events, client="who", time="t", site=None, noise_seed=noise_seed)
    with Store.open(tmp_path / "private") as one, Store.open(tmp_path / "exact") as two:
        private, exact = one.history("v"), two.history("v")
    for name in ("n", "c", "x_hist"):
        value, true, se = (np.array(table[column].to_pylist(), float).reshape(len(table), -1) for table, column in (
            (private, name), (exact, name), (private, f"{name}__se")))  # fmt: skip
        z = ((value - true) / se).reshape(-1)
        assert len(z) >= 3_600
        assert 0.95 <= np.sqrt((z**2).mean()) <= 1.05
        assert abs(z.mean()) < 0.07


def test_what_a_run_charges_and_publishes_says_he(views: Sequence[FeatureView], tmp_path: Path) -> None:
    run(views, tmp_path, noise_seed=1)
    state = read_ledger(operator_path(tmp_path / LEDGERS), OPERATOR).state
    assert set(spent_of(state).values()) == {500_001}  # the view's price, and one pane a day that leaks below 1e-6
    with Store.open(tmp_path) as store:
        releases = store.releases("visits").to_pylist()
        assert {(one["protection"], one["micro_rho"]) for one in releases} == {("he", 500_001)}
        manifest = store.release(bytes.fromhex(releases[0]["release_id"])).manifest
    assert (manifest.k_checked_by, manifest.leak_micro_rho, manifest.noisers) == ("leader", 1, 2)


def test_a_run_that_was_cut_off_is_continued_on_the_same_terms_only(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(BaseException):
        """The run is killed here."""

    def cut(*_: Any) -> Any:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(he_protocol.HeKeyHolder, "open", cut)
        with pytest.raises(Cut):
            run(views, tmp_path / "cut")
    with pytest.raises(RunRefused, match="Repeat it with protection he, noise off"):
        run(views, tmp_path / "cut", protection="shares")
    with pytest.raises(RunRefused, match="interrupted run declared 200,000 clients, but this run declares 200,002"):
        run(views, tmp_path / "cut", site_clients=100_001)
    run(views, tmp_path / "cut")
    run(views, tmp_path / "whole")
    assert published(tmp_path / "cut") == published(tmp_path / "whole")


def test_an_interrupt_while_children_encrypt_ends_the_run_and_the_same_command_continues_it(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encrypting, "WORTH_IT", 1)
    monkeypatch.setattr("federation.batch.reports.BATCH_ELEMENTS", 2**18)
    steps: list[str] = []

    def stop(_: str, step: str, done: int, total: int) -> None:
        steps.append(step)
        if step == "encrypt" and done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(views, tmp_path / "cut", progress=stop)
    assert steps == ["compute", "compute", "encrypt"]
    bars: dict[str, tuple[int, int]] = {}
    run(views, tmp_path / "cut", progress=lambda _, step, done, total: bars.update({step: (done, total)}))
    assert set(bars) == {"compute", "encrypt", "flood", "publish"}
    assert all(done == total > 0 for done, total in bars.values())
    run(views, tmp_path / "whole")
    assert published(tmp_path / "cut") == published(tmp_path / "whole")


def test_views_that_cannot_be_encrypted_are_refused_before_anything_is_made(
    views: Sequence[FeatureView], tmp_path: Path
) -> None:
    laplace = FeatureView(
        "pure",
        entity=Entity("shop", domain=["a"]),
        features=[Count("n")],
        pane="1d",
        bounds=Bounds(1),
        privacy=Privacy(epsilon=1.0, mechanism="laplace", min_clients=5),
    )
    for chosen, changes, refusal, why in (
        ([*views, laplace], {}, RunRefused, "view 'pure' cannot be encrypted: its price is in pure"),
        (views, {"validity": "prio3"}, UsageError, "nothing can be proven"),
    ):
        with pytest.raises(refusal, match=why):
            run(chosen, tmp_path / "s", **changes)
        assert not (tmp_path / "s").exists()


def test_without_the_extra_nothing_is_charged_or_made(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tenseal", None)
    with pytest.raises(ExtraMissing, match=r"pip install 'covey\[he\]'"):
        run(views, tmp_path / "s")
    assert not (tmp_path / "s").exists()


ELSEWHERE: Any = (None, None)


def test_chunks_count_what_ciphertexts_take(views: Sequence[FeatureView], tmp_path: Path) -> None:
    (view,) = views
    seats = Enrolment(2, 20, np.zeros(40, np.int64), np.arange(40))
    days = np.arange(400_000) * DAY_US
    for protection, elements in (("he", 2 * 4096), ("shares", 27)):
        request = CollectionRequest(
            (view,), terms_in_words(protection=protection), Noise.NONE, Budget(1), site_clients=20
        )
        run = in_process._Run(request, *ELSEWHERE, seats, *ELSEWHERE)
        assert len(next(run._chunks(view, days))) == in_process.CHUNK_ELEMENTS // elements


def test_the_flood_comes_from_the_leaders_source(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key holder's noise comes from its own source."""
    drawn: dict[str, int] = {}
    real = SeededNoise.discrete_gaussian

    def counted(self: SeededNoise, sigma_sq: Any, size: int) -> Any:
        drawn[str(id(self))] = drawn.get(str(id(self)), 0) + size
        return real(self, sigma_sq, size)

    monkeypatch.setattr(SeededNoise, "discrete_gaussian", counted)
    run(views, tmp_path, noise_seed=1)
    assert sorted(drawn.values()) == [3 * 27, 3 * (27 + 4096)]


def test_shared_noise_is_drawn_by_halves_and_charged_at_twice_the_price_with_the_leak(
    views: Sequence[FeatureView], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[int, set[Any]] = {}
    real = SeededNoise.discrete_gaussian

    def recorded(self: SeededNoise, sigma_sq: Any, size: int) -> Any:
        drawn.setdefault(id(self), set()).add(sigma_sq)
        return real(self, sigma_sq, size)

    monkeypatch.setattr(SeededNoise, "discrete_gaussian", recorded)
    each, shared = (
        replace(views[0], privacy=Privacy(rho=0.05, min_clients=5, noisers=noisers)) for noisers in ("each", "shared")
    )
    run([shared], tmp_path, noise_seed=1)
    halves = {group.mechanism.sigma_sq / 2 for group in layout_of(each).groups if group.moves is not None}
    leader_flood = set.union(*drawn.values()) - halves
    assert len(leader_flood) == 1
    assert sorted(drawn.values(), key=len) == [halves, halves | leader_flood]
    with Store.open(tmp_path) as store:
        (manifest,) = {row["manifest"] for row in store.releases("visits").to_pylist()}
    terms = json.loads(manifest)
    assert (terms["noise_split"], terms["trust"]) == ("shared", "in-process")
    assert terms["micro_rho"] == 2 * layout_of(each).micro_rho + terms["leak_micro_rho"]
    assert terms["leak_micro_rho"] > 0
