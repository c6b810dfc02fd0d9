"""Lists of releases, and the results of their verification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from deployment.inspect.ledger_view import moment_of
from deployment.inspect.verification import CHECKS, UNSIGNED, VerificationResult
from featurestore.define.release import Release, Void


def verified_to_json(one: VerificationResult) -> dict[str, Any]:
    """The verification result of one release as JSON."""
    state = "unsigned" if one.unsigned else "failed" if one.failed else "verified"
    return {
        "release_id": one.release_id.hex(), "view": one.view, "state": state, "check": one.failed, "why": one.why or None,
    }  # fmt: skip


def print_verified(found: Sequence[VerificationResult], keys: str, out: Console, *, one_by_one: bool) -> None:
    """Print the checks of one release, or the counts and the failures of many releases."""
    if one_by_one:
        (one,) = found
        out.print(f"release {one.release_id.hex()} of {one.view}", style="bold")
        if one.unsigned:
            out.print(UNSIGNED, style="yellow")
        else:
            _print_checks(one, out)
    else:
        failed, unsigned = sum(one.failed is not None for one in found), sum(one.unsigned for one in found)
        out.print(f"{len(found) - failed - unsigned:,} verified, {failed:,} failed, {unsigned:,} unsigned")
        for one in (one for one in found if one.failed):
            out.print(f"{one.release_id.hex()}  {one.view}  {one.failed}: {one.why}", style="red", soft_wrap=True)
        if unsigned:
            out.print(UNSIGNED, style="yellow")
    if not all(one.unsigned for one in found):
        out.print(f"keys: {keys}")


def _print_checks(one: VerificationResult, out: Console) -> None:
    grid = Table.grid(padding=(0, 2))
    for check, meaning in CHECKS.items():
        if check == one.failed:
            grid.add_row("failed", check, one.why, style="red")
            break
        grid.add_row("ok", check, meaning)
    out.print(grid)


def release_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Aligned columns without wrapping: there may be thousands of lines."""
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "id": lambda row: row["release_id"][:12],
        "view": lambda row: row["view"],
        "pane": lambda row: f"{row['pane_start']:%Y-%m-%dT%H:%MZ}",
        "state": _state,
        "released": lambda row: f"{row['released_at']:%Y-%m-%dT%H:%MZ}",
        "noise": lambda row: row["noise"],
        "rho": lambda row: f"{row['micro_rho'] / 1e6:g}",
        "plan": lambda row: row["plan_hash"][:8],
    }
    lines = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _state(row: dict[str, Any]) -> str:
    return row["state"] if row["state"] == "opened" else f"{row['state']}: {row['reason']}".replace("RETRACTED: ", "")


def name_of(item: Release | Void) -> str:
    """The view and the pane of a release."""
    return f"{item.manifest.view}, pane of {moment_of(item.pane_start)}"
