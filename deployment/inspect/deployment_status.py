"""A running deployment for programs: its roles, since when, how often they were started again, and what they wait for."""

from __future__ import annotations

from typing import Any

from base.times import utc_text
from deployment.local.supervision.state_file import DeploymentState, RoleStatus


def roles_to_json(state: DeploymentState) -> dict[str, Any]:
    """The supervisor and its roles, by name."""
    return {
        "supervisor": state.supervisor.pid,
        "since": utc_text(state.started_us),
        "roles": {one.name: _role_to_json(one) for one in state.roles},
    }


def _role_to_json(one: RoleStatus) -> dict[str, Any]:
    return {
        "state": one.state,
        "since": utc_text(one.since_us),
        "restarts": one.restarts,
        "failing": one.is_failing,
        "address": one.address,
        "monitor": one.monitor,
        "pid": one.pid,
        "waits_for": one.waits_for,
        "why": one.why,
        "code": one.code,
    }
