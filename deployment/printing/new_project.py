"""The contents of a new project, and the next commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from deployment.project.folders import KEYS
from deployment.project.init import POLICY, VIEWS, NewProject
from deployment.project.project import FILE
from federation.keys import site_role
from federation.rho import rho_text
from federation.terms import Participation

from .console import talk_console

_SITES: Final = 4
"""Sites whose commands are printed."""


def new_project_to_json(made: NewProject) -> dict[str, object]:
    """The result of `covey init` as JSON."""
    project = made.project
    return {
        "project": project.name,
        "directory": str(made.folder),
        "sites": [entry.site for entry in project.roster.entries],
        "budget_micro_rho": project.budget.micro_rho,
        "keys": list(made.secrets),
        "roles": list(made.roles),
        "kept": list(made.kept),
    }


def print_new_project(made: NewProject) -> None:
    """Print the contents of a new project, and the next commands."""
    talk, folder, project = talk_console(), made.folder, made.project
    sites = [entry.site for entry in project.roster.entries]
    budget = rho_text(project.budget.micro_rho)
    rows = [
        ("covey.toml", f"who takes part: public keys, {len(sites)} site(s), a budget of rho = {budget} a client-day"),
        (
            "views.py",
            "an existing file, not changed" if "views.py" in made.kept else "what is collected: an example to edit",
        ),
        ("policy.toml", "which plans the sites here accept"),
        (
            "keys/",
            f"the secrets of {', '.join(made.roles)}"
            if made.roles
            else "no keys yet: `covey keys init ROLE` makes them",
        ),
        ("ledgers/", "the budget that each day has spent; roles/ has the files of roles, store/ the releases"),
    ]
    for file, what in rows:
        talk.print(f"{folder / file}  {what}", soft_wrap=True)
    if made.secrets:
        talk.print(
            "this machine holds every secret, which is for trials only. In production, each operator makes the keys of one role "
            "with `covey keys init ROLE`",
            style="yellow",
            soft_wrap=True,
        )
    talk.print("next:", soft_wrap=True)
    for step in next_steps(made):
        talk.print(f"  {step}", soft_wrap=True)


def next_steps(made: NewProject) -> Iterator[str]:
    """What this operator does next, by the roles whose keys the project has, in the order in which it works."""
    folder, keys = made.folder, made.folder / KEYS
    at, own, alone = f"--project {folder}", made.roles, bool(made.secrets)
    sites = [entry.site for entry in made.project.roster.entries if site_role(entry.site) in own]
    coordinates, listens = "coordinator" in own, " --host 0.0.0.0"
    if not alone:
        if not own:
            yield f"put the .key and .pub files of your roles into {keys}: each has a part of what follows"
        yield f"compare what `covey keys show {at}` prints with the other operators, over a trusted channel"
        yield f"write [network] into {folder / FILE}: the addresses of leader, helper and superlink (docs/operate.md)"
    if coordinates:
        yield f"covey explain {folder / VIEWS}"
        if alone:
            named = (f"{site}=FILE" for site in sites[:_SITES]) if len(sites) > 1 else ("FILE",)
            events = " ".join(f"--events {one}" for one in named) + (" …" if len(sites) > _SITES else "")
            yield f"covey up {at} {events} --client-column NAME --time-column NAME   (all roles; or one by one:)"
        yield f"covey start superlink {at}{'   (each in a terminal of its own)' if alone else listens}"
    for role in ("helper", "leader"):
        if role in own:
            yield f"covey start {role} {at}{'' if alone else listens}"
    if sites and not alone and made.participation is Participation.ACTIVE:
        yield (
            f"decide in {folder / POLICY}: allow_activity_visible = true lets plans with participation `active` show other "
            "parties how many clients had events; as it is, the site refuses them"
        )
    for site in sites[:_SITES]:
        yield f"covey start site {site} {at} --source FILE --client-column NAME --time-column NAME"
    if len(sites) > _SITES:
        yield f"  and the other {len(sites) - _SITES} sites likewise"
    if own and not alone:
        yield f"covey doctor {at}"
    if coordinates:
        yield f"covey apply {folder / VIEWS} {at}"
        yield f"covey collect {at}   (each pane when it closes; earlier days: --from DAY --to DAY)"
        yield f"covey status {at}"
    elif {"leader", "helper"} & set(own) or sites:
        yield f"covey ledger show {at}"
