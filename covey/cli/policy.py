"""`covey policy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .project_option import ProjectOption

if TYPE_CHECKING:
    from edge_client.policy import Policy

app = typer.Typer(help="The policy of a site: which plans it takes part in.", no_args_is_help=True)


@app.command()
def check(
    plan: Annotated[
        Path,
        typer.Argument(
            metavar="PLAN", help="A signed plan or draft: `covey start coordinator … --plan-only PLAN` makes one."
        ),
    ],
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The site's policy. Default: the project's policy.toml.")
    ] = None,
    site: Annotated[
        Path | None, typer.Option(metavar="CONFIG", help="sites/ID.toml: that site's policy and ledger.")
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The site's ledger, ledgers/site-ID.db. Default: nothing spent yet."),
    ] = None,
    project: ProjectOption = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show a site's answer to a plan, its price, and the budget that would be left of each day. The command writes nothing.

    A refused plan is shown with all of its refusals; the site answers with the first.

    Exit code: 0 if the site would accept the plan, 4 if it would refuse.
    """
    from base.errors import DONE, REFUSED
    from base.times import wall_clock
    from deployment.errors import ItemMissing, UsageError
    from deployment.printing.console import talk_console
    from deployment.printing.output import Output
    from deployment.printing.policy_check import print_check
    from deployment.project.policy_check import BROKEN, check_plan, ledger_state, to_json
    from federation.errors import LedgerBroken
    from federation.ledger.state import LedgerState

    try:
        signed = plan.read_bytes()
    except FileNotFoundError:
        raise ItemMissing(f"no plan {plan}") from None
    except OSError as error:
        raise UsageError(f"{plan}: it cannot be read: {error.strerror}") from None
    rules, path = _rules(policy, site, ledger, project)
    try:
        state = LedgerState() if path is None else ledger_state(path, may_be_missing=site is not None)
        found = check_plan(signed, rules, state, wall_clock())
    except LedgerBroken as error:
        talk_console().print(str(error), style="red")
        found = BROKEN
    if as_json:
        typer.echo(json.dumps(to_json(found, rules)))
    else:
        print_check(found, rules, Output())
    return DONE if not found.refusals else REFUSED


def _rules(policy: Path | None, site: Path | None, ledger: Path | None, project: Path) -> tuple[Policy, Path | None]:
    """The policy, and the path of the ledger."""
    from deployment.errors import UsageError
    from deployment.project.init import POLICY
    from edge_client.policy_file import load_policy
    from edge_client.site_config import rules_of

    if site is not None:
        if policy is not None or ledger is not None:
            raise UsageError("--site already names policy and ledger; give either --site, or --policy and --ledger")
        return rules_of(site)
    return load_policy(policy or project / POLICY), ledger
