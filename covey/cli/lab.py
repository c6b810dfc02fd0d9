"""`covey lab`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from simulations.attacks.lies.kinds import KINDS

from . import lab_compare, lab_list, lab_report, lab_run
from .lab_options import (
    AsJson,
    ClientColumn,
    EventsFile,
    PictureFile,
    SiteColumn,
    TimeColumn,
    ViewsFile,
    what_to_collect,
)

if TYPE_CHECKING:
    from rich.console import Console

    from simulations.attacks.lies.experiment import AttackReport
    from simulations.attacks.lies.moved_values import Attacked, Floats, Moved

app = typer.Typer(help="Experiments: simulated fleets, attacks, sweeps and their reports.", no_args_is_help=True)
app.command("run")(lab_run.run)
app.command("list")(lab_list.list_all)
app.command("report")(lab_report.report)
app.command("compare")(lab_compare.compare)

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S"]
_WIDTH = max(map(len, KINDS))
_KINDS = "\b\n" + "\n".join(f"{kind:{_WIDTH}}  {what}" for kind, what in KINDS.items())
_MANY, _LITTLE, _FAR, _NEAR = 1e6, 5e-4, 1e3, 0.01


@app.command(
    help="Let a few clients lie, and show the aggregate without proofs and with them, beside the honest one.\n\n"
    "Nothing is kept: three runs over the same events, into stores that go afterwards. Without VIEWS.py and --events it is a "
    "week of flights. KIND is what a lying client does:\n\n" + _KINDS
)
def attack(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What the liars do; see above.")],
    views_file: ViewsFile = None,
    events: EventsFile = None,
    client_column: ClientColumn = None,
    time_column: TimeColumn = None,
    site_column: SiteColumn = None,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=_DATES, help="First UTC day. Default: the days with events.")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=_DATES, help="The UTC day after the last.")] = None,
    liars: Annotated[int, typer.Option(min=1, help="Lying clients in each pane.")] = 1,
    noise: Annotated[
        str, typer.Option(metavar="on|off", help="off: the exact effect; on: as it would be released.")
    ] = "off",
    wire: Annotated[
        bool, typer.Option("--wire", help="Send the lies through real processes, from one site of a fleet.")
    ] = False,
    picture: PictureFile = None,
    as_json: AsJson = False,
) -> int:
    """Let a few clients lie; the help text is that of the decorator."""
    from base.errors import DONE, NOTHING_RELEASED
    from deployment.errors import UsageError
    from deployment.printing.console import progress_bars, talk_console
    from deployment.run import utc_days
    from simulations.attacks.lies.experiment import attack as run_attack
    from simulations.attacks.lies.experiment import require_kind
    from simulations.attacks.lies.picture import draw, require_png

    talk = talk_console()
    require_kind(kind)
    if noise not in ("on", "off"):
        raise UsageError(f"--noise is on or off, got {noise!r}")
    if picture is not None:
        require_png(picture)
    views, table, columns = what_to_collect(views_file, events, client_column, time_column, site_column)
    with progress_bars(talk) as progress:
        report = run_attack(
            kind,
            views,
            table,
            **columns,
            days=utc_days(start, end),
            liars=liars,
            noise="on" if noise == "on" else "off",
            wire=wire,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(_as_dict(report)))
    else:
        _print(report, talk)
    if picture is not None and report.views:
        draw(report, picture)
        talk.print(f"drawn in {picture}", soft_wrap=True)
    return DONE if report.views else NOTHING_RELEASED


def _print(report: AttackReport, talk: Console) -> None:
    for why in report.skipped.values():
        talk.print(why, style="yellow", soft_wrap=True)
    if not report.views:
        talk.print(
            "nothing was released: no pane had enough clients, or no day is over yet; there is nothing to attack",
            style="yellow",
        )
    for view in report.views:
        _print_view(view, report, talk)


def _print_view(view: Attacked, report: AttackReport, talk: Console) -> None:
    from rich.box import SIMPLE_HEAD

    from deployment.printing.console import data_console, folding_table

    who = "one client" if report.liars == 1 else f"{report.liars:,} clients lie; each"
    title = f"{view.view}: in each pane {who} {KINDS[report.kind]}"
    headers = ("feature", "key", "pane", "honest", "without\nproofs", "\noff by", "with\nproofs", "\noff by")
    table = folding_table(*headers, title=title)
    table.box, table.show_edge, table.pad_edge, table.padding = SIMPLE_HEAD, False, False, (0, 1, 0, 0)
    table.title_justify = table.caption_justify = "left"
    for moved in view.worst:
        table.add_row(
            moved.feature,
            ", ".join(str(part) for part in moved.key),
            _pane(moved),
            _number(moved.honest[moved.pane]),
            _number(moved.without[moved.pane]),
            _off(moved, moved.without),
            _number(moved.with_proofs[moved.pane]),
            _off(moved, moved.with_proofs),
        )
    drowned = any(moved.se is None for moved in view.worst)
    starred = "; * the plain difference, where noise drowns the value" if drowned else ""
    table.caption = f"off by: in standard errors of the view's noise{starred}"
    data_console().print(table)
    for line in _remarks(view, report):
        talk.print(line, soft_wrap=True)


def _pane(moved: Moved) -> str:
    from base.times import DAY_US, from_us

    style = "%Y-%m-%dT%H:%MZ" if (moved.pane_starts % DAY_US).any() else "%Y-%m-%d"
    return from_us(int(moved.pane_starts[moved.pane])).strftime(style)


def _remarks(view: Attacked, report: AttackReport) -> list[str]:
    lines = [
        f"{view.view}: {view.rejected:,} report(s) rejected with proofs, in {view.opened:,} pane(s): the proof does not hold"
    ]
    if report.noise == "on":
        lines.append(
            f"{view.view}: noise is on, drawn anew in each run: what no liar touched is off as well, mostly by less than 3"
        )
    else:
        without, with_proofs = view.moved
        aside = ", void panes aside" if view.void else ""
        lines.append(
            f"{view.view}: of {view.values:,} values {without:,} are off without proofs, {with_proofs:,} with{aside}; "
            "the table has the furthest of each feature"
        )
        if view.rejected and with_proofs:
            lines.append(f"{view.view}: what is off with proofs is what the liars did not report: their own events")
    if view.void:
        lines.append(f"{view.view}: {view.void:,} pane(s) void with proofs: too few honest clients were left")
    return lines


def _number(value: float) -> str:
    if value != value:
        return "no value"
    if abs(value) >= _MANY:
        return f"{value:.3g}"
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.3f}" if abs(value) >= _LITTLE else f"{value:.1e}"


def _off(moved: Moved, values: Floats) -> str:
    from simulations.attacks.lies.moved_values import APPEARED

    away = moved.distance(values)
    if away == 0:
        return "–"
    if away == float("inf"):
        return "gone"
    if away == APPEARED:
        return "appeared"
    if moved.se is None:
        return f"{_number(away)}*"
    if away / moved.se < _NEAR:
        return f"<{_NEAR}"
    return f"{away / moved.se:.2f}" if away / moved.se < _FAR else f"{away / moved.se:.1e}"


def _as_dict(report: AttackReport) -> dict[str, object]:
    from base.times import from_us

    def number(value: float) -> float | None:
        return None if value != value else float(value)

    exact = report.noise == "off"  # else everything moves
    return {
        "kind": report.kind,
        "liars": report.liars,
        "noise": report.noise,
        "wire": report.wire,
        "skipped": report.skipped,
        "views": [
            {
                "view": view.view,
                "opened": view.opened,
                "void_with_proofs": view.void,
                "rejected": view.rejected,
                "values": view.values,
                "moved_without_proofs": view.moved[0] if exact else None,
                "moved_with_proofs": view.moved[1] if exact else None,
                "worst": [
                    {
                        "feature": moved.feature,
                        "key": list(moved.key),
                        "pane_start": from_us(int(moved.pane_starts[moved.pane])).isoformat(),
                        "honest": number(moved.honest[moved.pane]),
                        "without_proofs": number(moved.without[moved.pane]),
                        "with_proofs": number(moved.with_proofs[moved.pane]),
                        "noise_se": moved.se,
                    }
                    for moved in view.worst
                ],
            }
            for view in report.views
        ],
    }
