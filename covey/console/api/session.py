"""The session of a page, and what the console is about. This route opens a session; it alone is called without one."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.datastructures import Headers

from covey import __version__
from covey.console.console import Console
from covey.console.gate import PREFIX, cookie_of
from covey.console.roles import USER
from covey.console.sessions import Sessions, User
from covey.errors import CredentialsRefused, SessionMissing
from deployment.printing.output import printable
from featurestore.server.roles import Role, RoleName

from .form import Body, Form

_Secret = Annotated[str, Field(max_length=200)]
_log = logging.getLogger(__name__)


class Credentials(Body):
    """The token of the URL that the console printed, an API key, or neither: the page's cookie, or a reader without keys."""

    token: _Secret | None = None
    key: _Secret | None = None


class Session(Form):
    """What the page may do. Every request but a GET carries `csrf` in the header X-Covey-Console."""

    name: str
    role: RoleName
    csrf: str


class About(Form):
    """What the console shows, and what it has beside the store."""

    version: str
    directory: str
    role: RoleName
    has_project: bool
    has_views: bool
    trust_views: bool
    has_source: bool
    has_lab: bool
    has_serving: bool


def session_router(sessions: Sessions, cookie: str, secure: bool) -> APIRouter:
    """The routes of sessions.

    Args:
        cookie: its name.
        secure: whether the page is read over TLS.
    """
    router = APIRouter(prefix="/session", tags=["session"])

    @router.post("", operation_id="openSession")
    def open_session(body: Credentials, request: Request, response: Response) -> Session:
        """Open a session, or continue that of the cookie."""
        secret = cookie_of(Headers(scope=request.scope), cookie)
        if body.token is None and body.key is None and secret is not None:
            try:
                found = sessions.find(secret)
                return Session(name=found.user.name, role=found.user.role.label, csrf=found.page_token)
            except SessionMissing:
                pass
        peer = printable(request.client.host) if request.client is not None else "unknown"
        try:
            made = sessions.open(token=body.token, key=body.key)
        except CredentialsRefused as error:  # no more of them than the limit of attempts lets through
            _log.warning("refused a session to %s: wrong %s", peer, error.what)
            raise
        if made.user.role > Role.READER:
            _log.info("%s (%s): opened a session from %s", made.user.name, made.user.role.label, peer)
        if secret is not None:
            sessions.close(secret)
        response.set_cookie(cookie, made.secret, path=PREFIX, secure=secure, httponly=True, samesite="strict")
        return Session(name=made.user.name, role=made.user.role.label, csrf=made.page_token)

    return router


def about_router(console: Console) -> APIRouter:
    """What the console is about."""
    router = APIRouter(prefix="/about", tags=["session"])

    @router.get("", operation_id="about")
    def about(request: Request) -> About:
        """What the console shows."""
        user: User = request.scope[USER]
        return About(
            version=__version__,
            directory=str(console.directory),
            role=user.role.label,
            has_project=console.has_project,
            has_views=console.inputs.views_file is not None and console.inputs.views_file.is_file(),
            trust_views=console.inputs.trust_views,
            has_source=console.inputs.source is not None,
            has_lab=console.inputs.lab is not None,
            has_serving=console.inputs.serving is not None,
        )

    return router
