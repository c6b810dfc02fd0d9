"""The contents of a new project, and the next commands."""

from __future__ import annotations

from deployment.project.init import NewProject
from federation.rho import rho_text

from .console import talk_console


def new_project_to_json(made: NewProject) -> dict[str, object]:
    """The result of `covey init` as JSON."""
    project = made.project
    return {
        "project": project.name,
        "directory": str(made.folder),
        "sites": [entry.site for entry in project.roster.entries],
        "budget_micro_rho": project.budget.micro_rho,
        "keys": list(made.secrets),
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
            f"the secrets of {', '.join(made.secrets)}" if made.secrets else "your own keys: `covey keys init ROLE`",
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
    for command in (
        f"covey explain {folder / 'views.py'}",
        f"covey start superlink --project {folder}   (each in a terminal of its own)",
        f"covey start helper --project {folder}      (and `leader`)",
        f"covey start site {sites[0]} --project {folder} --events FILE --client-column NAME --time-column NAME",
        f"covey start coordinator {folder / 'views.py'} --project {folder} --from DAY --to DAY",
        f"covey ledger show --project {folder}",
    ):
        talk.print(f"  {command}", soft_wrap=True)
