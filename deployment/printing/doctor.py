"""The findings of `covey doctor`, for people."""

from __future__ import annotations

from deployment.doctor.doctor import Examination
from deployment.doctor.finding import Severity

from .console import data_console, talk_console

_MARKS = {Severity.OK: "ok", Severity.NOT_APPLICABLE: "--", Severity.WARNING: "warning", Severity.PROBLEM: "PROBLEM"}
_STYLES = {
    Severity.OK: "green",
    Severity.NOT_APPLICABLE: "dim",
    Severity.WARNING: "yellow",
    Severity.PROBLEM: "bold red",
}


def print_examination(found: Examination) -> None:
    """Print a line for each finding on stdout, with its mend below it, and the count on stderr."""
    console = data_console()
    for check, one in found.findings:
        console.print(
            f"{_MARKS[one.severity]:8} {check.name:13} {one.found}", style=_STYLES[one.severity], soft_wrap=True
        )
        if one.mend:
            console.print(f"{'':22} mend: {one.mend}", soft_wrap=True)
    problems, warnings = found.count(Severity.PROBLEM), found.count(Severity.WARNING)
    talk_console().print(f"{problems} problem(s), {warnings} warning(s)", style="red" if problems else None)
