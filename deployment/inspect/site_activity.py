"""What is known here of each site of a project: when it last answered, and what it refused and why.

Two files say it: the coordinator's record of its last plans, and the ledger of a site that lies in this directory, too. A site of
another operator has no ledger here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from base.file_stamps import Stamp, stamp_of
from deployment.coordinator.answer_log import AnswerLog, PlanAnswers
from deployment.coordinator.site_results import SiteOutcome
from federation.errors import LedgerBroken
from federation.keys import site_role
from federation.ledger.ledger import head_path
from federation.ledger.operator import LEDGERS
from federation.ledger.snapshot import read_ledger
from federation.refusal_codes import RefusalCode

from .ledger_view import sentence_of

_NEVER: Final = 0


@dataclass(frozen=True)
class SiteRefusals:
    """How often a site gave a code.

    Attributes:
        sentence, mend: of the code; empty for a code that this version does not know.
        last_us: the last time, µs since the epoch.
    """

    code: str
    count: int
    last_us: int

    @property
    def sentence(self) -> str:
        """The code in words."""
        return sentence_of(self.code)

    @property
    def mend(self) -> str:
        """What changes the answer."""
        return RefusalCode[self.code].mend if self.code in RefusalCode.__members__ else ""


@dataclass(frozen=True)
class SiteActivity:
    """What is known here of a site.

    Attributes:
        max_clients: of its entry of the roster; None: it is on no roster.
        seen_us: when it last answered, in µs since the epoch; None: no answer is known.
        outcomes: how many of the coordinator's last plans ended so, by outcome.
        last_outcome: of the last plan; None: the coordinator has recorded none.
        refusals: by code, the most frequent first.
        ledger: why the site's ledger here is broken; empty: it is whole; None: it is not here.
    """

    site: str
    max_clients: int | None
    seen_us: int | None
    outcomes: Mapping[SiteOutcome, int]
    last_outcome: SiteOutcome | None
    refusals: tuple[SiteRefusals, ...]
    ledger: str | None


@dataclass
class _Found:
    """A site while the files are read."""

    seen_us: int = _NEVER
    outcomes: dict[SiteOutcome, int] = field(default_factory=dict)
    last: SiteOutcome | None = None
    refused: dict[str, tuple[int, int]] = field(default_factory=dict)
    ledger: str | None = None

    def refuse(self, code: str, at_us: int) -> None:
        count, last = self.refused.get(code, (0, _NEVER))
        self.refused[code] = count + 1, max(last, at_us)


class SiteActivities:
    """Reads what is known of the sites of a project. A file is read again only if it has changed.

    Args:
        directory: of the project.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._answers = AnswerLog(directory)
        self._plans: tuple[Stamp, list[PlanAnswers]] = (), []
        self._ledgers: dict[str, tuple[Stamp, _Found]] = {}

    def read(self, roster: Mapping[str, int]) -> tuple[SiteActivity, ...]:
        """The sites of a roster, and those that have answered without being on it.

        Args:
            roster: the most clients of each site, by id.
        """
        found = {site: _Found() for site in roster}
        for plan in self._last_plans():
            for site, result in plan.sites.items():
                one = found.setdefault(site, _Found())
                one.last = result.state
                one.outcomes[result.state] = one.outcomes.get(result.state, 0) + 1
                if result.state is SiteOutcome.REFUSED:
                    one.refuse(result.code, plan.at_us)
                if result.state is not SiteOutcome.ABSENT:
                    one.seen_us = max(one.seen_us, plan.at_us)
        for site in roster:
            if (ledger := self._ledger(site)) is not None:
                one = found[site]
                one.ledger, one.seen_us = ledger.ledger, max(one.seen_us, ledger.seen_us)
                # the ledger counts all plans, also those that the coordinator has forgotten; some refusals are in no ledger
                one.refused |= ledger.refused
        return tuple(_activity(site, roster.get(site), found[site]) for site in sorted(found))

    def last_plan(self) -> PlanAnswers | None:
        """The plan that ended last; None: the coordinator has recorded none."""
        plans = self._last_plans()
        return plans[-1] if plans else None

    def _last_plans(self) -> list[PlanAnswers]:
        stamp = stamp_of(self._answers.path)
        if self._plans[0] != stamp:
            self._plans = stamp, self._answers.read()
        return self._plans[1]

    def _ledger(self, site: str) -> _Found | None:
        """What the ledger of a site says; None: it is not here."""
        path = self._directory / LEDGERS / f"{site_role(site)}.db"
        stamp = stamp_of(path, path.with_name(f"{path.name}-wal"), head_path(path))
        if not path.exists() and not head_path(path).exists():  # a head without its ledger: the ledger was deleted
            self._ledgers.pop(site, None)
            return None
        known = self._ledgers.get(site)
        if known is None or known[0] != stamp:
            known = self._ledgers[site] = stamp, _read(path, site_role(site))
        return known[1]


def _read(path: Path, owner: str) -> _Found:
    found = _Found(ledger="")
    try:
        state = read_ledger(path, owner).state
    except LedgerBroken as error:
        found.ledger = str(error)
        return found
    found.seen_us = max(_NEVER, state.last_us)
    for one in state.refused:
        found.refuse(one.code, one.at_us)
        found.seen_us = max(found.seen_us, one.at_us)
    return found


def _activity(site: str, max_clients: int | None, found: _Found) -> SiteActivity:
    refusals = [SiteRefusals(code, *counted) for code, counted in found.refused.items()]
    return SiteActivity(
        site,
        max_clients,
        found.seen_us or None,
        dict(sorted(found.outcomes.items())),
        found.last,
        tuple(sorted(refusals, key=lambda one: (-one.count, one.code))),
        found.ledger,
    )
