"""What a check finds, and where it looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from base.errors import CoveyError
from deployment.project.folders import KEYS
from deployment.project.project import Project
from federation.keys import roles_in


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    """Nothing is wrong."""
    NOT_APPLICABLE = "not applicable"
    """The project has nothing here that this check could look at."""
    WARNING = "warning"
    """It works now, but it will fail soon, or it does not work as it should."""
    PROBLEM = "problem"
    """A role cannot do its work, or its protection is missing."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check has found.

    Attributes:
        found: what it is, with its file, address or number. It never contains a secret.
        mend: a command or an edit; empty if nothing is to be done.
    """

    severity: Severity
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Place:
    """A project's directory, as the checks see it.

    Attributes:
        project: None if covey.toml is missing or cannot be read.
        addresses: `host:port` of the roles, by role.
        now_us: the wall clock, µs since the epoch.
    """

    directory: Path
    project: Project | None
    addresses: Mapping[str, str]
    now_us: int

    @property
    def keys(self) -> Path:
        """The folder of keys."""
        return self.directory / KEYS

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles whose private keys are here."""
        return roles_in(self.keys)


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: its name in the output, one or two words.
        what: what it looks at, one sentence for the documentation.
        run: yields what it finds; a CoveyError that it raises is a problem. Nothing yielded: it is not applicable.
    """

    name: str
    what: str
    run: Callable[[Place], Iterator[Finding]]


def ok(found: str) -> Finding:
    """A finding of nothing wrong."""
    return Finding(Severity.OK, found)


def warning(found: str, mend: str) -> Finding:
    """A finding that should be mended soon."""
    return Finding(Severity.WARNING, found, mend)


def problem(found: str, mend: str) -> Finding:
    """A finding that must be mended."""
    return Finding(Severity.PROBLEM, found, mend)


def not_applicable(found: str) -> Finding:
    """A check that does not concern this project."""
    return Finding(Severity.NOT_APPLICABLE, found)


def problem_of(error: CoveyError, mend: str) -> Finding:
    """A named error as a finding."""
    return problem(str(error), mend)
