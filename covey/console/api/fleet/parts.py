"""The parts of the fleet's state, each read for itself: one that cannot be read does not hide the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final, TypeVar

from base.errors import CoveyError
from covey.cli.mends import line_of
from covey.console.api.form import Form
from deployment.inspect.fleet import Fleet

from .pane_forms import ArrivalsPart, PanesPart, arrival_form, panes_form
from .part import Part
from .role_forms import RolesPart, roles_form
from .site_forms import PlanPart, SitesPart, ended_form, plan_form, site_form

_Part = TypeVar("_Part", bound=Part)


class FleetParts(Form):
    """All parts. Each is also an event of `/fleet/events`, with its name."""

    sites: SitesPart
    panes: PanesPart
    plan: PlanPart
    roles: RolesPart
    arrivals: ArrivalsPart


NAMES: Final = tuple(FleetParts.model_fields)


def read_parts(fleet: Fleet, directory: str) -> FleetParts:
    """Read all parts.

    Args:
        directory: as commands name it.
    """
    return FleetParts(
        sites=_part(SitesPart, lambda: SitesPart(sites=tuple(map(site_form, fleet.sites())))),
        panes=_part(PanesPart, lambda: PanesPart(views=tuple(panes_form(one, directory) for one in fleet.panes()))),
        plan=_part(
            PlanPart, lambda: PlanPart(plan=plan_form(fleet.plan(), directory), last=ended_form(fleet.last_plan()))
        ),
        roles=_part(RolesPart, lambda: roles_form(fleet.deployment(), directory)),
        arrivals=_part(ArrivalsPart, lambda: ArrivalsPart(panes=tuple(map(arrival_form, fleet.arrivals())))),
    )


def _part(kind: type[_Part], read: Callable[[], _Part]) -> _Part:
    try:
        return read()
    except (CoveyError, OSError, sqlite3.DatabaseError) as error:
        return kind(problem=line_of(error))
