"""A view that changes six times while everybody reads it: nobody sees an error or a mixed answer, and every day is charged once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from base.errors import DONE
from base.times import DAY_US, to_us
from deployment.local.processes import Processes
from featurestore.define.definitions import FeatureView
from featurestore.define.layout import layout_of
from featurestore.define.views_file import load_views
from featurestore.store import Store
from tests import quick_feast
from tests.deployment.deployed import words
from tests.deployment.evolving.expected import SHOPS, Expected, Rows
from tests.deployment.moved_clock import MovedClock
from tests.deployment.two_sites import SITES, Deployment, change
from tests.pipeline import assert_equal_to_oracle
from tests.waiting import wait_until

pytest.importorskip("flwr")

TORCH: Final = find_spec("torch") is not None
Covey = Callable[..., tuple[int, str, str]]
VIEWS: Final = """
from covey import *

visits = FeatureView(
    "visits",
    entity=Entity("shop", domain=["north", "south", "west"]),
    pane="1d",
    windows=["2d"],
    features=[ClientCount("people"), Count("visits"), Mean("spent", clip=(0, 100), resolution=1)],
    bounds=Bounds(max_cells=2, max_events_per_cell=2),
    privacy=Privacy(rho=0.25, min_clients=2),
    min_coverage=0.5,
    description="visits of a day",
)
"""
TEXT = ("visits of a day", "visits of customers on a UTC day")
WINDOW = ('windows=["2d"]', 'windows=["2d", "3d"]')
FEATURE = ("clip=(0, 100), resolution=1)", 'clip=(0, 100), resolution=1), Rate("big", where="spent >= 50")')
DOMAIN = ('"west"]', '"west", "east"]')
CLIP = ("clip=(0, 100)", "clip=(0, 40)")

BASE: Final = ("people", "visits", "spent_mean")
"""The features of the first version."""
STATES: Final = [
    (1, 2),
    (1, 3),
    (2, 3),
    (2, 4),
    (3, 5),
    (3, 6),
    (3, 7),
    (4, 7),
    (4, 8),
    (5, 9),
    (5, 10),
    (5, 11),
    (4, 12),
]
"""(version, day): what `visits` is, one after another. On day 7 both versions are collected."""
COLLECTED: Final = [*[[1]] * 5, [3], [3], [3, 4], [4], [5], [5], [5], [4]]
"""By day, the versions whose sums are collected."""
RELEASED: Final = {0: 3, 1: 3, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8, 8: 9, 9: 11, 10: 11, 11: 12, 12: 13}
"""By day, the one on whose morning it is released."""


def known_days() -> dict[int, dict[str, frozenset[int]]]:
    """By version, the days that have a feature: those of its own collection, and those whose collection carries it."""
    first, before_domain = frozenset(range(5)), frozenset(range(8))
    domain, clipped = frozenset(range(7, 13)), frozenset({9, 10, 11})
    return {
        1: dict.fromkeys(BASE, first),
        2: dict.fromkeys(BASE, first),
        3: {**dict.fromkeys(BASE, before_domain), "big": frozenset({5, 6, 7})},
        4: {"people": domain, "visits": domain, "spent_mean": domain - clipped, "big": domain},
        5: {**dict.fromkeys(("people", "visits", "big"), domain - {12}), "spent_mean": clipped},
    }


def make_events(first: date) -> pa.Table:
    """Events of 14 days: 24 clients of two sites, each with up to three visits a day."""
    chance = np.random.default_rng(8)
    rows = [
        {
            "who": f"p{client}",
            "site": "xy"[client % 2],
            "at": datetime(first.year, first.month, first.day, 8 + visit, int(chance.integers(60)), tzinfo=UTC)
            + timedelta(day),
            "shop": str(chance.choice(SHOPS)),
            "spent": float(chance.integers(120)),
        }
        for day in range(14)
        for client in range(24)
        for visit in range(int(chance.integers(4)))
    ]
    table = pa.Table.from_pylist(rows).sort_by("at")
    return table.set_column(2, "at", table["at"].cast(pa.timestamp("us", "UTC")))


class Evolution:
    """One view in a deployment that runs: its file, its clock and its readers."""

    def __init__(
        self, covey: Covey, project: Path, processes: Processes, clock: MovedClock, first: date, pause_s: float
    ) -> None:
        self.covey, self.project, self.processes, self.clock, self.first = covey, project, processes, clock, first
        self.deployment = Deployment(covey, project, processes)
        self.at = ("--project", str(project))
        ports = self.deployment.ports
        self.addresses = [word for name in ("leader", "helper") for word in (f"--{name}", f"127.0.0.1:{ports[name]}")]
        self.answers = project / "answers"
        self.answers.mkdir()
        self.pause_s = pause_s
        self.kinds = ["http", *(["feast"] if quick_feast.INSTALLED else []), "join", *(["trainer"] if TORCH else [])]

    def day(self, number: int) -> date:
        return self.first + timedelta(number)

    def move_to(self, number: int) -> None:
        """Let it be ten minutes past the midnight with which a day begins: the day before has closed."""
        self.clock.move(datetime.combine(self.day(number), datetime.min.time(), UTC) + timedelta(minutes=10))

    def edit(self, before: str, after: str) -> FeatureView:
        """Edit the views file. Returns its view."""
        change(self.project / "views.py", before, after)
        return self.view()

    def view(self) -> FeatureView:
        (view,) = load_views(self.project / "views.py")
        return view

    def apply(self, *options: str) -> dict[str, Any]:
        """Apply the views file. Returns what the command says of the view."""
        code, out, err = self.covey("apply", self.project / "views.py", *self.at, "--yes", "--json", *options)
        assert code == DONE, err
        (said,) = json.loads(out)["views"]
        return dict(said)

    def collect(self, start: int, end: int) -> None:
        """Collect some days, which have closed, by a command that ends."""
        code, out, err = self.covey(
            "collect", *self.at, *self.addresses, "--noise", "off", "--json",
            "--from", self.day(start), "--to", self.day(end),
        )  # fmt: skip
        assert code == DONE, err
        assert json.loads(out)["views"]["visits"]["opened"] == end - start

    def start_coordinator(self) -> None:
        """Start the coordinator that stays."""
        command = words("collect", *self.at, *self.addresses, "--noise", "off")
        self.processes.start("coordinator", command)

    def start_readers(self) -> None:
        ports, url = self.deployment.ports, f"http://127.0.0.1:{self.deployment.ports['server']}"
        self.processes.start("server", words("start", "server", *self.at, "--port", str(ports["server"])))
        self.processes.wait_for_port("server", ports["server"], 180)
        first_day = to_us(datetime.combine(self.first, datetime.min.time(), UTC)) // DAY_US
        for name, kinds in (("remote", ("http", "feast")), ("local", ("join", "trainer"))):
            chosen = ",".join(kind for kind in kinds if kind in self.kinds)
            command = [sys.executable, "-m", "tests.deployment.evolving.readers", chosen, str(self.project), url]
            self.processes.start(f"readers-{name}", [*command, str(first_day), str(self.answers), str(self.pause_s)])

    def answers_of(self, kind: str) -> list[Any]:
        """The different answers of a reader, in order."""
        file = self.answers / f"{kind}.jsonl"
        if not file.exists():
            return []
        lines = file.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_until_all_read(self, expected: Expected, number: int, day: int) -> None:
        """Wait until each reader has read a version up to a day."""

        def read(kind: str) -> bool:
            found = self.answers_of(kind)
            return bool(found) and columns_of(found[-1]) == expected.answer(kind, number, day)

        try:
            wait_until(lambda: all(read(kind) for kind in self.kinds), 120)
        except AssertionError:
            for kind in self.kinds:
                found = self.answers_of(kind)
                assert columns_of(found[-1]) == expected.answer(kind, number, day), (kind, number, day)
            raise

    def stop_readers(self) -> None:
        (self.answers / "stop").touch()
        wait_until(lambda: all((self.answers / f"{kind}.reads").exists() for kind in self.kinds))


def columns_of(answer: Any) -> Any:
    """An answer as it is compared; an error stays a text."""
    return answer if isinstance(answer, str) else tuple(map(tuple, answer))


@pytest.mark.parametrize("pause_s", [0.5, pytest.param(0.0, marks=pytest.mark.long)])
def test_a_view_evolves_six_times_while_everybody_reads_it(
    covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause_s: float
) -> None:
    project, clock = tmp_path / "shop", MovedClock(tmp_path / "moved", monkeypatch)
    first = datetime.now(UTC).date() - timedelta(13)
    clock.move(datetime.combine(first, datetime.min.time(), UTC))
    assert covey("init", project, "--budget", "1")[0] == DONE
    change(project / "policy.toml", "min_k = 50", "min_k = 2")
    change(project / "policy.toml", "allow_noise_off = false", "allow_noise_off = true")
    change(project / "policy.toml", "overlap = false", "overlap = true")
    change(project / "covey.toml", "allow_noise_off = false", "allow_noise_off = true")
    (project / "views.py").write_text(VIEWS)
    events = make_events(first)
    for site, name in SITES.items():
        pq.write_table(events.filter(pc.equal(events["site"], name)), project / f"events-{site}.parquet")
    with Processes(project / "logs") as processes:
        evolution = Evolution(covey, project, processes, clock, first, pause_s)
        evolution.deployment.start(*SITES)
        views = evolve(evolution, events)
    check_ledgers(evolution, views)


def evolve(evolution: Evolution, events: pa.Table) -> dict[int, FeatureView]:
    """The six changes, and a check of each version's history after each. Returns the definition of each version."""
    views = definitions(evolution.project / "views.py")
    versions = {number: Rows(views[number], known) for number, known in known_days().items()}
    expected = Expected(versions, STATES, RELEASED, events, (evolution.first - date(1970, 1, 1)).days)

    def published(number: int, day: int) -> None:
        evolution.wait_until_all_read(expected, number, day)
        check_histories(evolution.project, expected, number, day)

    evolution.apply()
    evolution.move_to(3)
    evolution.deployment.wait_until_registered()
    evolution.collect(0, 3)
    evolution.start_readers()
    published(1, 2)
    evolution.start_coordinator()

    evolution.move_to(4)
    evolution.edit(*TEXT)  # while day 3 is collected
    assert evolution.apply()["version"] == 1
    published(1, 3)

    evolution.move_to(5)
    evolution.edit(*WINDOW)
    assert evolution.apply()["version"] == 2
    published(2, 4)

    evolution.edit(*FEATURE)
    assert evolution.apply("--from", str(evolution.day(5)))["version"] == 3
    evolution.move_to(6)
    published(3, 5)
    evolution.move_to(7)
    published(3, 6)

    evolution.edit(*DOMAIN)
    assert evolution.apply("--from", str(evolution.day(7)), "--overlap", "1")["version"] == 4
    evolution.move_to(8)
    published(4, 7)
    evolution.move_to(9)
    published(4, 8)

    evolution.edit(*CLIP)
    assert evolution.apply("--from", str(evolution.day(9)))["version"] == 5
    evolution.move_to(11)  # two days are due
    published(5, 10)

    evolution.edit(*reversed(CLIP))
    assert (
        evolution.apply()["version"] == 4
    )  # it takes over the days in between now, and collects from the next midnight on
    with Store.open(evolution.project) as store:
        assert_equal_to_oracle(store.history("visits@v4"), expected.history(4, 10), ["shop"])
        assert_equal_to_oracle(store.history("visits"), expected.history(5, 10), ["shop"])
    evolution.move_to(12)
    published(5, 11)
    evolution.move_to(13)
    published(4, 12)

    evolution.stop_readers()
    for kind in evolution.kinds:
        found = list(map(columns_of, evolution.answers_of(kind)))
        assert [answer for answer in found if isinstance(answer, str)] == [], kind
        expected.require_whole(kind, found)
    return views


def definitions(file: Path) -> dict[int, FeatureView]:
    """The definition of each version."""
    text = file.read_text()
    found = {}
    for number, edits in enumerate(((), (WINDOW,), (FEATURE,), (DOMAIN,), (CLIP,)), 1):
        for edit in edits:
            change(file, *edit)
        (found[number],) = load_views(file)
    file.write_text(text)
    return found


def check_histories(project: Path, expected: Expected, served: int, day: int) -> None:
    """The history of each version, and of the one that is served, equals the oracle's."""
    applied = {number for number, _ in STATES[: STATES.index((served, day)) + 1]}
    with Store.open(project) as store:
        for number in applied:
            ended = (served, day) == (
                5,
                10,
            ) and number == 4  # its rows end with its collection, until it is applied again
            theirs = expected.history(number, 8 if ended else day)
            assert_equal_to_oracle(store.history(f"visits@v{number}"), theirs, ["shop"])
        assert_equal_to_oracle(store.history("visits"), expected.history(served, day), ["shop"])


def check_ledgers(evolution: Evolution, views: Mapping[int, FeatureView]) -> None:
    """Each collection has charged each of its days once, at the aggregators and at the sites, and all that is signed verifies."""

    def said(*arguments: str) -> Any:
        code, out, err = evolution.covey(*arguments, *evolution.at, "--json")
        assert code == DONE, (arguments, out, err)
        return json.loads(out)

    price = {number: layout_of(view).micro_rho for number, view in views.items()}
    due = {
        str(evolution.day(day)): {"visits": sum(price[number] for number in numbers)}
        for day, numbers in enumerate(COLLECTED)
    }
    ledgers = {one["ledger"]: one for one in said("ledger", "show")["ledgers"]}
    assert list(ledgers) == ["operator", "site-1", "site-2"]
    for name, ledger in ledgers.items():
        assert {day["day"]: day["micro_rho"] for day in ledger["days"]} == due, name
        assert ledger["plans"]["unfinished"] == 0
    said("ledger", "verify")
    assert said("store", "verify")["damaged"] == []
    assert {one["state"] for one in said("release", "verify", "--all")["releases"]} == {"verified"}
    assert len(said("release", "list")) == 14


def test_an_answer_of_two_versions_or_days_and_a_reader_that_goes_back_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "views.py").write_text(VIEWS)
    views, first = definitions(tmp_path / "views.py"), date(2020, 5, 1)
    versions = {number: Rows(views[number], known) for number, known in known_days().items()}
    expected = Expected(versions, STATES, RELEASED, make_events(first), (first - date(1970, 1, 1)).days)
    for kind in ("http", "trainer"):
        seen = [expected.answer(kind, *state) for state in STATES]
        expected.require_whole(kind, seen)
        for before, after in pairwise(dict.fromkeys(seen)):
            with pytest.raises(AssertionError):
                expected.require_whole(kind, [after, before])
            for place in (place for place, old in enumerate(before) if old != after[place]):
                with pytest.raises(AssertionError):
                    expected.require_whole(kind, [(*before[:place], after[place], *before[place + 1 :])])
