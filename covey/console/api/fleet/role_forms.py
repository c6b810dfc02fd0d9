"""The roles that `covey up` runs. Times are µs since the epoch."""

from __future__ import annotations

from base.errors import DONE
from covey.console.api.form import Form
from covey.console.commands import command
from deployment.local.supervision.state_file import DeploymentState

from .part import Part


class Role(Form):
    """A role that `covey up` has started. `state`: a task that has ended well is `done`. `why`: the last process ended."""

    name: str
    state: str
    since: int
    restarts: int
    address: str | None
    waits_for: str | None
    why: str | None
    failing: bool
    log_command: str


class RolesPart(Part):
    """The roles that run here. `since` None: `covey up` runs none."""

    since: int | None = None
    roles: tuple[Role, ...] = ()


def roles_form(one: DeploymentState | None, project: str) -> RolesPart:
    """The roles of a deployment."""
    if one is None:
        return RolesPart()
    return RolesPart(
        since=one.started_us,
        roles=tuple(
            Role(
                name=each.name,
                state="done" if each.code == DONE else each.state.value,
                since=each.since_us,
                restarts=each.restarts,
                address=each.address,
                waits_for=each.waits_for,
                why=None if each.code == DONE else each.why,
                failing=each.is_failing,
                log_command=command("covey", "logs", each.name, "--project", project),
            )
            for each in one.roles
        ),
    )
