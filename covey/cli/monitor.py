"""`covey monitor`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from base.extras import require_extra

from .read_options import DATES
from .store_option import StoreOption
from .table_options import CsvOption, PlainOption, output_of


def monitor(
    views: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VIEW…]", help="Views, or versions of them as view@v2. Default: all views."),
    ] = None,
    store: StoreOption = Path(),
    last: Annotated[
        int, typer.Option("--last", metavar="N", min=1, max=90, help="Compare the newest N panes as one.")
    ] = 1,
    level: Annotated[
        float,
        typer.Option("--level", help="The chance that a check of a view without drift finds something, at most 0.1."),
    ] = 0.01,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", metavar="F", help="Only this feature; may be repeated.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=DATES, help="Panes before this day (UTC) are no part of the past."),
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with exit code 7 if a view differs.")] = False,
    plain: PlainOption = False,
    csv: CsvOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Say whether the newest panes of views differ from their own past by more than noise and usual variation explain.

    Names each feature and key that differs, by how much, with an interval; and the shifts that the check would have found. Reads
    releases only, so it costs no budget.
    """
    require_extra("coordinator", "this command")
    from base.errors import DONE, DRIFT
    from base.times import to_us
    from deployment.drift.checks import check_views
    from deployment.drift.report import Checked, Terms
    from deployment.drift.stored_panes import StoredPanes
    from deployment.errors import UsageError
    from deployment.printing.console import progress_bars, talk_console
    from deployment.printing.drift import drift_to_json, print_drift

    out = output_of(plain=plain, csv=csv, as_json=as_json)
    if not 0 < level <= 0.1:
        raise UsageError(f"--level {level} is not above 0 and at most 0.1")
    terms = Terms(level, last, tuple(feature or ()), None if since is None else to_us(since))
    with StoredPanes(store) as opened:
        names = views or opened.names()
        if len(names) > 1:
            with progress_bars(talk_console()) as progress:
                reports = list(check_views(opened, names, terms, progress))
        else:
            reports = list(check_views(opened, names, terms))
    if as_json:
        typer.echo(json.dumps({"views": [drift_to_json(one) for one in reports]}))
    else:
        for one in reports:
            print_drift(one, out)
    found = any(isinstance(one, Checked) and one.drifts for one in reports)
    return DRIFT if exit_code and found else DONE
