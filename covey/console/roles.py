"""The dependencies of routes that require a role of their user.

A route that changes something takes `Author` or `Operator`:

    @router.put("/file", operation_id="saveFile")
    def save(body: SaveRequest, user: Author) -> Saved: ...

A POST that changes nothing takes `Reader`. A GET may be called by every user: it takes none of them, or `Reader` to know who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from covey.errors import RoleTooSmall
from featurestore.server.roles import Role

from .sessions import User

USER: Final = "covey.console.user"
"""The key in a request's scope of its user, which `covey.console.gate` sets."""
CHANGE: Final = "covey.console.change"
"""The key in a request's scope of its `Change`."""
_ROLE: Final = "required_role"


@dataclass
class Change:
    """What a request may change: the role that its route requires."""

    role: Role = Role.READER


def _requires(role: Role) -> Callable[[Request], User]:
    def check(request: Request) -> User:
        user: User = request.scope[USER]
        request.scope[CHANGE].role = role
        if user.role < role:
            raise RoleTooSmall(user.role, role)
        return user

    setattr(check, _ROLE, role)
    return check


def role_of(dependency: object) -> Role | None:
    """The role that a dependency requires; None: it is another one."""
    return getattr(dependency, _ROLE, None)


def required_role(route: APIRoute) -> Role:
    """The role that a route requires of its user."""
    roles = [role_of(one.call) for one in route.dependant.dependencies]
    return max((role for role in roles if role is not None), default=Role.READER)


Reader: TypeAlias = Annotated[User, Depends(_requires(Role.READER))]
Author: TypeAlias = Annotated[User, Depends(_requires(Role.AUTHOR))]
Operator: TypeAlias = Annotated[User, Depends(_requires(Role.OPERATOR))]
