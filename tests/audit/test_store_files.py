"""The membership audit over every file of a store: manifests, plans, ledgers, values, sizes.

Two worlds differ in one client-day: the events of the canary, who has no other events. In both worlds the same run publishes
into a store, and another run is cut off before it publishes, which leaves its plans behind. The noised values are blanked when
they are opened, because `test_audit.py` audits them. An auditor compares every number, text, name and size of the rest.
`outside_claim` must name each difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from base.times import DAY_US
from deployment.in_process import enrolment
from deployment.in_process import run as in_process
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Count, Mean
from featurestore.define.privacy import Bounds, Privacy
from featurestore.store import Store
from tests.pipeline import run_views

from .files import differences, facts, places_of

VIEW = FeatureView(
    "visits",
    entity=Entity("k", domain=["a", "b"]),
    features=[ClientCount("people"), Count("n"), Mean("x", clip=(0, 100), resolution=1)],
    pane="1d",
    windows=["2d"],
    bounds=Bounds(2, 2),
    privacy=Privacy(rho=0.5, min_clients=5),
)
FIRST = 18_000
"""The first of two UTC days."""
CLIENTS = 11
"""Clients of each day, without the canary."""
DECLARED = {"days": (FIRST, FIRST + 2), "site_clients": 32}

Publish = Callable[..., Path]


def events(clients: int, *, canary: bool, canary_day: int = FIRST + 1, canary_site: str = "s") -> pa.Table:
    """Each client has an event of each key on both days.

    No client has one of key a on the first day and one of key b on the second.
    """
    who = [(f"p{client}", "s", FIRST + day, "ab"[(client + day) % 2]) for client in range(clients) for day in range(2)]
    if canary:
        who += [("canary", canary_site, canary_day, "a"), ("canary", canary_site, canary_day, "b")]
    names, sites, days, keys = zip(*who, strict=True)
    times = pa.array([day * DAY_US + 3_600 * 10**6 for day in days], pa.timestamp("us"))
    return pa.table({"who": names, "site": sites, "t": times, "k": keys, "x": [50.0] * len(who)})


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Publish a table of events, and cut another run of it off before it publishes. Returns the folder of both."""

    class Cut(BaseException):
        """The run ends here."""

    real = in_process.releases_of

    def blank(plan: Any, opened: Any, **more: Any) -> Any:
        return real(plan, replace(opened, sums=np.zeros_like(opened.sums)), **more)

    def cut(*_: Any, **__: Any) -> Any:
        raise Cut

    def both(name: str, table: pa.Table, **terms: Any) -> Path:
        folder = tmp_path / name
        columns = {"client": "who", "time": "t", "noise_seed": 1}
        with monkeypatch.context() as patched:
            patched.setattr(in_process, "releases_of", blank)
            run_views([VIEW], table, folder / "done", **columns, **terms)
        with monkeypatch.context() as patched:
            patched.setattr(in_process, "releases_of", cut)
            with pytest.raises(Cut):
                run_views([VIEW], table, folder / "cut", **columns, **terms)
        return folder

    return both


def found(publish: Publish, terms: dict[str, Any], clients: int = CLIENTS, **canary: Any) -> list[str]:
    """The differences that an auditor finds between both worlds."""
    without = publish("without", events(clients, canary=False), **terms)
    with_it = publish("with", events(clients, canary=True, **canary), **terms)
    one, other = facts(without), facts(with_it)
    assert min(len(one), len(other)) > 150
    return differences(one, other)


def outside_claim(folder: Path) -> set[tuple[str, ...]]:
    with Store.open(folder / "done") as store:
        ids = store.releases("visits")["release_id"].to_pylist()
        return {store.release(bytes.fromhex(one)).manifest.outside_claim for one in ids}


@pytest.fixture
def with_tenseal(terms: dict[str, Any]) -> None:
    if terms.get("protection") == "he":
        pytest.importorskip("tenseal", reason="the extra `he` is not installed")


TERMS = [
    {"participation": "all"},
    {"participation": "all", "report_per": "site", "validity": "prio3"},
    {"participation": "all", "protection": "he"},
    {"participation": "active"},
    {"participation": "active", "report_per": "site"},
    {"participation": "active", "protection": "he", "site_clients": None},
]


@pytest.mark.usefixtures("with_tenseal")
@pytest.mark.parametrize("terms", TERMS, ids=lambda terms: "-".join(str(term) for term in terms.values()))
def test_a_client_day_more_changes_nothing_but_noised_values(publish: Publish, terms: dict[str, Any]) -> None:
    """This holds under `active` too if the pane has k clients in both worlds."""
    assert found(publish, DECLARED | terms) == []


@pytest.mark.parametrize(
    ("terms", "canary", "named"),
    [
        ({"participation": "active", "min_clients": CLIENTS + 1}, {}, "activity"),
        ({"days": None}, {"canary_day": FIRST + 2}, "days"),
        ({"site": "site", "participation": "all", "min_clients": 33}, {"canary_site": "t"}, "sites"),
    ],
    ids=["k is reached", "a day more", "a site more"],
)
def test_what_else_changes_is_named(
    publish: Publish, tmp_path: Path, terms: dict[str, Any], canary: dict[str, Any], named: str
) -> None:
    assert found(publish, DECLARED | terms, **canary) != []
    for world in ("without", "with"):
        (names,) = outside_claim(tmp_path / world)
        assert named in names


def test_under_all_and_with_days_that_were_asked_for_nothing_is_outside_the_claim(publish: Publish) -> None:
    assert outside_claim(publish("one", events(CLIENTS, canary=True), **DECLARED, participation="all")) == {()}


# the same audit finds planted faults


def counted(real: Any) -> Any:
    """The planted fault: enrolment counts the clients of the events instead of the declared ones."""
    return lambda events, _site_clients: real(events, events.clients)


@pytest.mark.parametrize("terms", [{"report_per": "site"}, {"protection": "he"}], ids=["site", "he"])
@pytest.mark.usefixtures("with_tenseal")
def test_enrolment_counted_from_events_is_found(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, terms: dict[str, Any]
) -> None:
    monkeypatch.setattr(in_process, "enrol", counted(enrolment.enrol))
    assert any(where.endswith("plan.maxClients") for where in found(publish, DECLARED | terms))


def leaking(monkeypatch: pytest.MonkeyPatch, told: Callable[[int], str]) -> None:
    """The planted fault: manifests with a text that depends on the number of clients."""
    real, compute = in_process._Run.collect, in_process.compute
    clients: list[int] = []

    def counting(view: Any, events: Any, *rest: Any, **more: Any) -> Any:
        clients.append(events.clients)
        return compute(view, events, *rest, **more)

    def run_view(*arguments: Any) -> Any:
        plain = in_process.releases_of
        with monkeypatch.context() as patched:
            patched.setattr(
                in_process, "releases_of", lambda *of, **more: plain(*of, **more | {"trust": told(clients[-1])})
            )
            return real(*arguments)

    monkeypatch.setattr(in_process, "compute", counting)
    monkeypatch.setattr(in_process._Run, "collect", run_view)


@pytest.mark.parametrize(
    "told", [lambda clients: f"{clients} clients", lambda clients: " " * clients], ids=["a count", "a size"]
)
def test_a_count_in_a_manifest_is_found_and_so_is_one_that_is_a_length(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, told: Callable[[int], str]
) -> None:
    leaking(monkeypatch, told)
    assert any("trust" in where or "(size)" in where for where in found(publish, DECLARED | {"participation": "all"}))


# exact counts


PECULIAR = 1_213
"""Clients: a number that occurs nowhere else in a store. Half of them have one key, so that no sum is near it."""


@pytest.mark.parametrize("terms", [{}, {"report_per": "site"}, {"participation": "all"}], ids=["client", "site", "all"])
def test_no_file_tells_how_many_clients_there_are(publish: Publish, terms: dict[str, Any]) -> None:
    folder = publish("one", events(PECULIAR, canary=False), **DECLARED | {"site_clients": 2_000} | terms)
    assert places_of(folder, PECULIAR) == []
    assert places_of(folder, FIRST)  # the search reads the ledger, which names the days


def test_the_search_finds_a_count_wherever_it_stands(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "enrol", counted(enrolment.enrol))
    leaking(monkeypatch, lambda clients: f"{clients} clients")
    folder = publish("one", events(PECULIAR, canary=False), **DECLARED, report_per="site")
    places = places_of(folder, PECULIAR)
    for where in ("cut/ledgers/operator.db/plans[0].bytes.plan.maxClients", "done/store/registry.db"):
        assert any(where in place for place in places), where
