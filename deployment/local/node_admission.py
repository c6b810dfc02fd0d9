"""Which nodes may connect to the SuperLink: those of the roster in covey.toml, which is read again when it changes.

Flower forgets no node that was admitted. The aggregators refuse the reports of a site that left the roster, and its connection
ends with the SuperLink's next start.
"""

from __future__ import annotations

import logging
from pathlib import Path

from aggregator.errors import SuperLinkUnusable
from base.errors import CoveyError
from base.times import wall_clock
from deployment.coordinator.grid import register_nodes
from deployment.project.project import FILE, Project
from federation.keys import SITE_PREFIX

_log = logging.getLogger(__name__)


class NodeAdmission:
    """The admitted nodes of one SuperLink.

    Args:
        folder: of the SuperLink's socket.
        nodes: the nodes' public keys (EC, PEM) by site, as the roster had them when the SuperLink was started.
    """

    def __init__(self, directory: Path, folder: Path, nodes: dict[str, bytes]) -> None:
        self._directory, self._folder = directory, folder
        self._roster, self._admitted = nodes, set[bytes]()
        self._changed = self._logged = self._changed_at()

    @property
    def nodes(self) -> int:
        """The number of nodes of the roster that are admitted."""
        return sum(key in self._admitted for key in self._roster.values())

    def begin(self) -> None:
        """Admit the nodes of the roster. Raises SuperLinkUnusable."""
        self._admit(self._roster)

    def take_up_edit(self) -> None:
        """Admit the nodes that were added to the roster. An edit that cannot be used is logged, and changes nothing.

        If the SuperLink does not answer, the next call tries the same edit again.
        """
        if (changed := self._changed_at()) == self._changed:
            return
        try:
            roster = nodes_of(Project.load(self._directory), wall_clock())
            added = [site for site, key in roster.items() if key not in self._admitted]
            self._admit(roster)
        except CoveyError as error:
            if changed != self._logged:
                _log.warning("%s. The roster before this edit stays in force", error)
            self._logged = changed
            if not isinstance(error, SuperLinkUnusable):
                self._changed = changed
            return
        self._changed = changed
        gone = [site for site in self._roster if site not in roster]
        self._roster = roster
        if added:
            _log.info("the roster has changed: %s may connect", ", ".join(added))
        if gone:
            _log.info(
                "the roster has changed: %s left it. The aggregators refuse their reports; restart the SuperLink to end their "
                "connections",
                ", ".join(gone),
            )

    def _admit(self, nodes: dict[str, bytes]) -> None:
        for key in nodes.values():
            if key not in self._admitted:
                register_nodes(self._folder, [key])
                self._admitted.add(key)

    def _changed_at(self) -> int:
        try:
            return (self._directory / FILE).stat().st_mtime_ns
        except OSError:
            return 0


def nodes_of(project: Project, now_us: int) -> dict[str, bytes]:
    """The public keys of a roster's nodes (EC, PEM), by site; with former ones until their change-over."""
    nodes = {one.site: one.node.key.pem() for one in project.roster.entries if one.node is not None}
    for one in project.former.entries:
        if one.node is not None and now_us <= one.until_us:
            nodes[f"{one.role.removeprefix(SITE_PREFIX)} (former key {one.node.key.id.hex()[:8]})"] = one.node.key.pem()
    return nodes
