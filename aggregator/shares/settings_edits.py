"""Edits of the operator's settings, such as rosters and budgets: taken up before a new plan, without a restart, or refused by name.

    read again ──► the edit can be used ──► every running plan keeps what it needs ──► in force for all parts of the aggregator

A refused edit changes nothing: running plans go on under the settings before it, and no new plan begins until it is mended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from aggregator.errors import SettingsRefused
from aggregator.identity import Clock, RoleIdentity, Settings
from aggregator.storage.files import Files
from aggregator.storage.records import StoredPlan
from base.errors import CoveyError
from base.times import utc_text
from federation.plan import Plan

log = logging.getLogger("covey.aggregator")


class SettingsEdits:
    """The edits of one aggregator's settings.

    Args:
        require_terms: checks that some settings allow a plan. Raises a named error.
        opened: the plan of a hash, as stored and as parsed.
    """

    def __init__(
        self,
        identity: RoleIdentity,
        files: Files,
        clock: Clock,
        require_terms: Callable[[Plan, Settings], None],
        opened: Callable[[bytes], tuple[StoredPlan, Plan]],
    ) -> None:
        self._identity, self._files, self._clock = identity, files, clock
        self._require_terms, self._opened = require_terms, opened

    def take_up(self) -> None:
        """Read the settings again, and put an edit in force.

        Raises:
            SettingsRefused: they cannot be read, or take away what a running plan needs. The settings before stay in force.
        """
        old, role = self._identity.settings, self._identity.role
        try:
            new = self._identity.source()
            if new == old:
                return
            for plan in self._running():
                self._require_kept(plan, old, new)
        except CoveyError as error:
            refused = error if isinstance(error, SettingsRefused) else SettingsRefused(role, str(error))
            log.warning("%s", refused)
            raise refused from None
        self._identity.settings = new
        log.warning("the %s has taken up the edited settings", role)

    def _running(self) -> Iterator[Plan]:
        """The plans before their deadline that are not noised."""
        for stored in self._files.storage.unopened_plans():
            if self._clock() < stored.deadline_us:
                yield self._opened(stored.hash)[1]

    def _require_kept(self, plan: Plan, old: Settings, new: Settings) -> None:
        role, until = self._identity.role, plan.wire.deadline_us if plan.wire is not None else 0
        running = f"plan {plan.hash.hex()[:16]}… runs until {utc_text(until)} and needs it (a restart takes the edit up at once)"
        at, peer = plan.deadline_us, self._identity.peer
        named = [[None if one is None else one.at(at) for one in (all_.coordinator_keys, all_.peer_keys(peer))]
                 for all_ in (old, new)]  # fmt: skip
        if named[0] != named[1]:
            raise SettingsRefused(
                role, f"they name another key of the coordinator or of the other aggregator, but {running}"
            )
        kept = {entry.site: entry for entry in new.roster.entries}
        for entry in old.roster.entries:
            now = kept.get(entry.site)
            if now is None or now.key_at(at) != entry.key_at(at) or now.max_clients < entry.max_clients:
                raise SettingsRefused(
                    role, f"site {entry.site!r} has lost its place, its key or clients, but {running}"
                )
        try:
            self._require_terms(plan, new)
            self._files.ledger.check(plan, new.budget)
        except CoveyError as error:
            raise SettingsRefused(role, f"{error}; but {running}") from None
