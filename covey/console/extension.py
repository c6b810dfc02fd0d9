"""The console as an extension of the feature server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI, Response
from starlette.routing import Mount, Route

from base.metrics import Sample
from featurestore.server.answer import Answer, App
from featurestore.server.guard import Gate as FeatureGate
from featurestore.server.refusal import Refused
from featurestore.server.throttle import Throttle
from featurestore.server.whole_routes import WholeRoute

from .api.session import about_router, session_router
from .assets import AssetFiles, Assets
from .console import Console
from .gate import ANSWERED, PREFIX, Gate
from .page import page_router
from .places import routers_of
from .preparation import prepare
from .problems import PROBLEMS, answer_of, answer_with_problems
from .same_store import SameStore
from .sessions import Sessions
from .slots import ComputingSlots

_TITLE: Final = "Covey console"


class ConsoleExtension:
    """An `Extension` of the feature server: the page at `/console/`, and its API.

    Args:
        cookie: the name of the cookie of a session.
        secure: whether pages are read over TLS.
    """

    def __init__(
        self,
        console: Console,
        sessions: Sessions,
        throttle: Throttle,
        *,
        cookie: str,
        secure: bool,
        assets: Assets | None = None,
    ) -> None:
        self._console = console
        app = app_of(console, sessions, assets or AssetFiles(), cookie=cookie, secure=secure)
        self._app: App = Gate(app, sessions, cookie, throttle)

    def find(self, url: bytes) -> WholeRoute | None:
        """No route."""
        return None

    def add_routes(self, app: FastAPI) -> None:
        """Add the console, as an app of its own."""
        app.router.routes.append(Route(PREFIX, _to_the_page(308), include_in_schema=False))
        app.router.routes.append(Route("/", _to_the_page(307), include_in_schema=False))
        mount = Mount(PREFIX, self._app)
        # a path with a line feed is the console's too
        mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
        app.router.routes.append(mount)

    def openapi_paths(self) -> Mapping[str, Any]:
        """No path: the console has a document of its own; see `covey.console.openapi`."""
        return {}

    def is_probe(self, path: str) -> bool:
        """The console's paths need no API key of the feature server: they need a session."""
        return path in ("/", PREFIX) or path.startswith(f"{PREFIX}/")

    def refusal(self, path: str, refused: Refused) -> Answer | None:
        """A refusal of the guard as a problem with a code, with the policy of every answer."""
        if not self.is_probe(path):
            return None
        made = answer_of(refused)
        return made._replace(more=(*made.more, *ANSWERED.items()))

    def add_services(self, server: Any, gate: FeatureGate) -> None:
        """No call of gRPC."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Prepare the first label, and send the lineage, if there is a collector for it."""
        return _running(self._console)

    def waits_for(self) -> str | None:
        """Nothing."""
        return None

    def samples(self) -> Iterable[Sample]:
        """No samples."""
        return ()


def app_of(console: Console, sessions: Sessions, assets: Assets, *, cookie: str, secure: bool) -> FastAPI:
    """The app of the console, without its gate. Its paths begin after `/console`."""
    app = FastAPI(title=_TITLE, docs_url=None, redoc_url=None, openapi_url=None)
    api = APIRouter(prefix="/api", responses=PROBLEMS)
    api.include_router(session_router(sessions, cookie, secure))
    api.include_router(about_router(console))
    needs = [Depends(SameStore(console.store.root)), Depends(ComputingSlots())]
    for router in routers_of(console):
        api.include_router(router, dependencies=needs)
    app.include_router(api)
    app.include_router(page_router(assets))
    answer_with_problems(app)
    return app


def _to_the_page(status: int) -> Response:
    """A relative redirect, because a proxy may have another name; to requests of every method.

    Args:
        status: 308 is kept by browsers for good; 307 is not, because another server may use this address later.
    """
    headers = {name.decode(): value.decode() for name, value in ANSWERED.items()}
    return Response(status_code=status, headers=headers | {"Location": f"{PREFIX}/"})


@asynccontextmanager
async def _running(console: Console) -> AsyncIterator[None]:
    prepare()
    with console.lineage or nullcontext(), console.texts or nullcontext():
        yield
