"""Lists of releases, and the results of their verification."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from typing import Any, Final

from base.times import to_us
from deployment.inspect.ledger_view import moment_of
from deployment.inspect.verification import CHECKS, UNSIGNED, VerificationResult
from featurestore.define.release import Release, Void

from .console import to_second_or_minute
from .output import Output
from .tables import Cell, Table

_EXPIRED: Final = "the sums have left the store by the view's `retention`, so they cannot be verified here"
_MOMENT: Final = "%Y-%m-%dT%H:%MZ"


def verified_to_json(one: VerificationResult) -> dict[str, Any]:
    """The verification result of one release as JSON."""
    state = "unsigned" if one.unsigned else "failed" if one.failed else "expired" if one.expired else "verified"
    return {
        "release_id": one.release_id.hex(), "view": one.view, "state": state, "check": one.failed, "why": one.why or None,
    }  # fmt: skip


def print_verified(found: Sequence[VerificationResult], keys: str, out: Output, *, one_by_one: bool) -> None:
    """Print the checks of one release, or the counts and the failures of many releases."""
    if one_by_one:
        (one,) = found
        out.print(f"release {one.release_id.hex()} of {one.view}", style="bold")
        if one.unsigned:
            out.print(UNSIGNED, style="yellow")
        elif one.expired:
            out.print(_EXPIRED, style="yellow")
        else:
            _print_checks(one, out)
    else:
        failed, unsigned = sum(one.failed is not None for one in found), sum(one.unsigned for one in found)
        expired = sum(one.expired for one in found)
        left = f", {expired:,} expired: {_EXPIRED}" if expired else ""
        verified = len(found) - failed - unsigned - expired
        out.print(f"{verified:,} verified, {failed:,} failed, {unsigned:,} unsigned{left}")
        for one in (one for one in found if one.failed):
            out.print(f"{one.release_id.hex()}  {one.view}  {one.failed}: {one.why}", style="red")
        if unsigned:
            out.print(UNSIGNED, style="yellow")
    if not all(one.unsigned or one.expired for one in found):
        out.print(f"keys: {keys}")


def _print_checks(one: VerificationResult, out: Output) -> None:
    indent = max(map(len, CHECKS))
    for check, meaning in CHECKS.items():
        if check == one.failed:
            out.print(f"failed  {check.ljust(indent)}  {one.why}", style="red")
            break
        out.print(f"ok      {check.ljust(indent)}  {meaning}")


def print_releases(rows: list[dict[str, Any]], out: Output) -> None:
    """Print one line for each pane, because there may be thousands. CSV has whole ids."""
    table = Table("id", "view", "pane", "state", "released", "noise", "rho")
    of_days = all(row["pane_start"].time() == time() for row in rows)
    exact = to_second_or_minute(to_us(row["pane_start"]) for row in rows)
    for row in rows:
        table.add_row(
            Cell(row["release_id"][:8], row["release_id"]),
            row["view"],
            Cell(f"{row['pane_start']:{'%Y-%m-%d' if of_days else exact}}", f"{row['pane_start']:{exact}}"),
            _state(row),
            f"{row['released_at']:{_MOMENT}}",
            Cell(row["noise"].removeprefix("discrete-"), row["noise"]),
            Cell(f"{row['micro_rho'] / 1e6:g}", row["micro_rho"] / 1e6),
        )
    out.lines(table)


def _state(row: dict[str, Any]) -> str:
    return row["state"] if row["state"] == "opened" else f"{row['state']}: {row['reason']}".replace("RETRACTED: ", "")


def name_of(item: Release | Void) -> str:
    """The view and the pane of a release."""
    return f"{item.manifest.view}, pane of {moment_of(item.pane_start)}"
