"""All checks, run at the same time: most of their time is waiting for peers. Each has a bounded time, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from base.errors import CoveyError
from deployment.errors import UsageError
from deployment.project.project import Project

from .certificates import check_certificates, check_trust
from .files import WHOLE_ENTRIES, check_disk, check_ledgers, check_store
from .finding import Check, Finding, Place, Severity, not_applicable, problem
from .keys import check_keys, check_policy, check_project
from .machine import check_ports, check_versions
from .network import check_clocks, check_peers, place_addresses
from .sources import check_events, check_streams

CHECKS: Final = (
    Check("project", "covey.toml can be read.", check_project),
    Check("keys", "Each role's key files are whole, private, complete, and have the key that covey.toml pins.", check_keys),
    Check("policy", "policy.toml can be read, pins the project's keys, and demands noise.", check_policy),
    Check("certificates", "Each role's certificate is valid for 14 days, names the role, and has its key.", check_certificates),
    Check("trust", "The authorities of each peer are pinned, and issued the certificates that are here.", check_trust),
    Check("versions", "The packages that files and messages depend on have tested versions.", check_versions),
    Check("ports", "The ports of the roles here are free, or held by these roles.", check_ports),
    Check("peers", "Each peer accepts connections, and its TLS handshake proves its role.", check_peers),
    Check("clocks", "The clocks and versions of leader and helper are close to those here.", check_clocks),
    Check("disk", "The folders have space, can be written, and survive a power cut.", check_disk),
    Check("ledgers", f"Each ledger is whole: all entries, of more than {WHOLE_ENTRIES:,} the last.", check_ledgers),
    Check("store", "The registry of the store is consistent.", check_store),
    Check("events", "The events of each site here can be read, with their columns of clients and times.", check_events),
    Check("streams", "The broker of each site's stream lets it read, and its event log can be written.", check_streams),
)  # fmt: skip
"""The checks, in the order of the output."""


@dataclass(frozen=True)
class Examination:
    """What all checks have found."""

    directory: Path
    findings: tuple[tuple[Check, Finding], ...]

    def count(self, severity: Severity) -> int:
        """The number of findings of one severity."""
        return sum(finding.severity is severity for _, finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "project": str(self.directory),
            "problems": self.count(Severity.PROBLEM),
            "warnings": self.count(Severity.WARNING),
            "findings": [
                {"check": check.name, "severity": str(one.severity), "found": one.found, "mend": one.mend}
                for check, one in self.findings
            ],
        }


def examine(directory: Path, addresses: Mapping[str, str], clock: Callable[[], int]) -> Examination:
    """Run all checks of a project's directory.

    Args:
        addresses: `host:port` by role, instead of those of the project.

    Raises:
        UsageError: there is no such directory.
    """
    if not directory.is_dir():
        raise UsageError(f"no directory {directory}; name the project's directory")
    project = _project(directory)
    place = Place(directory, project, place_addresses(project, addresses), clock())
    with ThreadPoolExecutor(len(CHECKS), thread_name_prefix="doctor") as threads:
        found = list(threads.map(lambda check: _run(check, place), CHECKS))
    return Examination(
        directory, tuple((check, one) for check, all_ in zip(CHECKS, found, strict=True) for one in all_)
    )


def _run(check: Check, place: Place) -> Sequence[Finding]:
    try:
        return list(check.run(place)) or [not_applicable("nothing to check here")]
    except (CoveyError, OSError) as error:
        return [
            problem(
                f"the check could not be completed: {error}",
                "mend the cause, and run covey doctor again",
            )
        ]


def _project(directory: Path) -> Project | None:
    try:
        return Project.load(directory)
    except CoveyError:
        return None
