"""An answer reads the total of its day instead of every earlier answer, and gives the same reports. A kept ledger does, too."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge_client import day_totals, ledger
from edge_client.ledger import SiteLedger
from edge_client.open_ledgers import EACH_TIME, KeptOpen
from edge_client.policy import Refuse
from edge_client.site import SiteSettings, respond
from federation.errors import LedgerBroken
from federation.refusal_codes import RefusalCode
from tests.aggregator.world import NOW

from . import making
from .making import HOUR, answered, ask, events, hours, settings_in
from .test_ledger import BOUND, Told, drawn, plain_reports, until


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return settings_in(tmp_path)


def streamed(
    monkeypatch: pytest.MonkeyPatch, settings: SiteSettings, seed: int
) -> Counter[tuple[int, tuple[int, ...]]]:
    """What a site reports of a day, hour by hour in any order, with a repeated plan in between."""
    told: Told = plain_reports(monkeypatch)
    order = np.random.default_rng(seed).permutation(24).tolist()
    for number, hour in enumerate(order):
        answered(hours(number, hour, view=BOUND), until(drawn(seed), 48 * HOUR), settings)
        if number == 10:
            answered(hours(3, order[3], view=BOUND), until(drawn(seed), 48 * HOUR), settings)
    return Counter(told)


@pytest.mark.parametrize("seed", [0])
def test_reports_are_those_of_a_site_that_reads_every_earlier_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    by_totals = streamed(monkeypatch, settings_in(tmp_path / "one", clients=12), seed)
    monkeypatch.setattr(day_totals, "read_total", lambda *_: None)
    assert by_totals == streamed(monkeypatch, settings_in(tmp_path / "two", clients=12), seed)


def rows(settings: SiteSettings, statement: str) -> int:
    with closing(sqlite3.connect(settings.ledger)) as db:
        changed = db.execute(statement).rowcount
        db.commit()
    return changed


def test_an_earlier_answer_of_many_days_is_read_as_often_as_one_of_two_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = list[bytes]()
    read = ledger.read_cells
    monkeypatch.setattr(ledger, "read_cells", lambda db, plan: (reads.append(plan), read(db, plan))[1])

    def read_of(days: int) -> Counter[bytes]:
        site = settings_in(tmp_path / str(days))
        own = events(*(("p", day + hour / 24, "x") for day in range(days) for hour in range(2)))
        first, second = (hours(hour, *(24 * day + hour for day in range(days))) for hour in range(2))
        answered(first, own, site)
        reads.clear()
        answered(second, own, site)
        return Counter(reads)

    (tmp_path / "2").mkdir()
    (tmp_path / "9").mkdir()
    assert list(read_of(9).values()) == list(read_of(2).values()) != []


def test_earlier_answers_of_a_day_are_not_read_again(settings: SiteSettings) -> None:
    own = events(*(("p", hour / 24, "x") for hour in range(4)))
    for hour in range(3):
        answered(hours(hour, hour), own, settings)
    first, second = (hours(hour, hour).hash for hour in (0, 1))
    assert rows(settings, f"DELETE FROM cells WHERE plan IN (x'{first.hex()}', x'{second.hex()}')") == 2
    answered(hours(3, 3), own, settings)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE day_totals SET cells = zeroblob(length(cells))",
        "UPDATE day_totals SET names = zeroblob(length(names))",
        "UPDATE answer_totals SET digest = zeroblob(32)",
        "DELETE FROM answer_totals",
    ],
)
def test_an_edited_total_is_noticed(settings: SiteSettings, edit: str) -> None:
    own = events(*(("p", hour / 24, "x") for hour in range(3)))
    for hour in range(2):
        answered(hours(hour, hour), own, settings)
    assert rows(settings, edit)
    refused = ask(hours(2, 2), own, settings)
    assert isinstance(refused, Refuse)
    assert refused.code == RefusalCode.LEDGER_BROKEN


def test_a_ledger_without_totals_makes_them_with_its_next_answer(
    settings: SiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = plain_reports(monkeypatch)
    own = events(*(("p", hour / 24, "x") for hour in range(4)))
    with monkeypatch.context() as earlier:
        earlier.setattr(day_totals, "write_total", lambda *_: None)  # as an earlier version answered
        for hour in range(2):
            answered(hours(hour, hour), own, settings)
    for hour in (2, 3):
        answered(hours(hour, hour), own, settings)
    assert told == [(0, (1, 0)), (HOUR, (1, 0))]  # p has two cells a day
    assert rows(settings, "UPDATE day_totals SET day = day") == 1


def test_a_kept_ledger_is_opened_once_and_sees_what_others_wrote(
    settings: SiteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    init = SiteLedger.__init__

    def counted(self: SiteLedger, path: Path, *rest: object) -> None:
        opened.append(path)
        init(self, path, *rest)  # type: ignore[arg-type]

    own = events(*(("p", hour / 24, "x") for hour in range(6)))
    with closing(KeptOpen()) as ledgers:
        monkeypatch.setattr(making, "respond", partial(respond, ledgers=ledgers))
        monkeypatch.setattr(SiteLedger, "__init__", counted)
        for hour in range(3):
            answered(hours(hour, hour), own, settings)
        assert len(opened) == 1
        with EACH_TIME.writing(settings.ledger, settings.site, lambda: NOW) as other:
            other.intend(hours(4, 4), settings.policy.budget)
        assert hours(4, 4).hash in ledgers.reading(settings.ledger, settings.site).intended
        with sqlite3.connect(settings.ledger) as db:
            db.execute("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)")
        db.close()
        with pytest.raises(LedgerBroken, match="which was read before, is missing"):
            ledgers.reading(settings.ledger, settings.site)
        with pytest.raises(LedgerBroken, match="its head file names"):  # it is opened again
            ledgers.reading(settings.ledger, settings.site)
        settings.ledger.rename(settings.ledger.with_suffix(".moved"))
        refused = ask(hours(5, 5), own, settings)
        assert isinstance(refused, Refuse)
        assert refused.code == RefusalCode.LEDGER_BROKEN  # its head file names entries that the new file lacks
