"""The ASGI application: a raw callable for the hot route, and a FastAPI app for all other routes.

The raw callable answers in about two thirds of the time of a FastAPI path function, and without middleware. A request that arrives
in one piece does not even need ASGI (`featurestore.server.http_in_one`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fastapi import FastAPI

from featurestore.define.release import CountedSites
from featurestore.errors import OnlineUnavailable, RequestTooLarge
from featurestore.online.blocks import Blocks, Snapshot
from featurestore.online.view_rows import Rows, ViewRows
from featurestore.read.request import Reading
from featurestore.remote.http_transport import ARROW
from featurestore.store import Store

from .answer import JSON, Answer, Later, Message, Promised, Receive, Send
from .batching import Batcher
from .docs_page import add_docs
from .errors import DEFECT, DEFECT_TEXT, TOO_LARGE, feast_body, to_feast
from .extension import Extension, NoExtension
from .feast_wire import AnswerPlan, AnswerPlans, render, render_arrow
from .first_reads import FirstReads
from .guard import COUNTED
from .openapi import ROUTE, describe
from .prepared import Kept, Prepared
from .probes import add_probes
from .problems import answer_with_problems
from .reads import Reads
from .refusal import Header, Refused
from .request import MAX_BODY, OnlineRequest, parse_request
from .routes import add_routes
from .whole_routes import WholeRequest, WholeRoute, wait_for

POLL_S: Final = 0.1
"""How often the server looks for a new release."""

Beside = Callable[[Reads], AbstractAsyncContextManager[None]]
Charge = Callable[[int], None]
"""Receives the number of rows of a request before they are read."""

_NOTHING_PLACED: Final[Mapping[ViewRows, Rows]] = MappingProxyType({})
ARROW_BYTES: Final = ARROW.encode()
_NO_EXTENSION: Final = NoExtension()


class _Form(NamedTuple):
    """A form of answers: its media type, and what writes it."""

    kind: bytes
    render: Callable[[OnlineRequest, AnswerPlan, Reading], bytes]


_JSON: Final = _Form(JSON, render)
_ARROW: Final = _Form(ARROW_BYTES, render_arrow)


def alone(_: Reads) -> AbstractAsyncContextManager[None]:
    """Nothing runs beside the server."""
    return contextlib.nullcontext()


_log = logging.getLogger(__name__)


class FeatureServer:
    """The ASGI callable.

    Args:
        store: the store that is served; while the server runs, it looks for a new epoch every `poll_s` seconds.
        beside: makes a service that also runs on the server's event loop, such as gRPC, from the server's reads.
        extension: what is added to the server.
    """

    def __init__(
        self,
        store: Store,
        *,
        beside: Beside = alone,
        poll_s: float = POLL_S,
        extension: Extension = _NO_EXTENSION,
    ) -> None:
        self._extension = extension
        self._store, self._batcher, self._plans = store, Batcher(), AnswerPlans(store.on_demand)
        self._first = FirstReads(store.root)
        self._prepared: Prepared[Answer] = Prepared()
        self._app = _make_app(store, Reads(store, self._batcher, self._first), beside, poll_s, extension)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection event."""
        if scope["type"] == "http" and scope["path"] == ROUTE:
            await self._online_features(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and (route := self.find(_url_of(scope))) is not None:
            await self._whole(route, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def find(self, url: bytes) -> WholeRoute | None:
        """The route of the extension that answers a POST."""
        return self._extension.find(url)

    def is_probe(self, path: str) -> bool:
        """Whether a path of the extension needs no key."""
        return self._extension.is_probe(path)

    def refusal(self, path: str, refused: Refused) -> Answer | None:
        """A refusal in the form of a path of the extension."""
        return self._extension.refusal(path, refused)

    def answer(self, headers: Iterable[Header], body: bytes, charge: Charge) -> Answer | Later:
        """The answer to a POST of Feast's route. It is there at once if all rows are in memory."""
        try:
            snapshot, now = self._store.blocks.require(), self._store.clock()
            form = _ARROW if _accepts_arrow(headers) else _JSON
            if form is _JSON and (kept := self._prepared.find(snapshot, body, now)) is not None:
                charge(kept.rows)
                return kept.answer
            request = parse_request(body)
            charge(request.rows)
            plan = self._plans.find(request, snapshot)
            if plan.blocking:
                return self._later(request, plan, snapshot, form)
            with self._first.of(plan.views):
                answer = self._rendered(request, plan, snapshot, form, _NOTHING_PLACED, now)
            if form is _JSON and (until := plan.same_until(now)) is not None:
                self._prepared.keep(snapshot, body, Kept(answer, len(answer.body), request.rows, until))
            return answer
        except Exception as error:  # noqa: BLE001 - every error becomes an answer in Feast's form, defects too
            return _failed(error)

    async def _later(self, request: OnlineRequest, plan: AnswerPlan, snapshot: Snapshot, form: _Form) -> Answer:
        """The answer from rows on a disk or a network, which are read off the event loop."""
        try:
            with self._first.of(plan.views):
                placed = await self._batcher.placed(plan.views, request.entities, request.rows)
                return self._rendered(request, plan, snapshot, form, placed, self._store.clock())
        except Exception as error:  # noqa: BLE001 - as in `answer`
            return _failed(error)

    def _rendered(
        self,
        request: OnlineRequest,
        plan: AnswerPlan,
        snapshot: Snapshot,
        form: _Form,
        placed: Mapping[ViewRows, Rows],
        now: int,
    ) -> Answer:
        reading = Reading(snapshot, self._store.on_demand, request.entities, request.rows, now, placed)
        return Answer(200, form.render(request, plan, reading), form.kind)

    async def _online_features(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request whose body arrives in parts."""
        if scope["method"] != "POST":
            body = feast_body("FeastError", f"{ROUTE} takes POST")
            await Answer(405, body, more=((b"allow", b"POST"),)).send(send)
            return
        try:
            received = await _read(receive)
        except RequestTooLarge as error:
            await _failed(error).send(send)
            return
        if received is not None:
            answer = self.answer(scope["headers"], received, scope.get("covey.charge", _no_charge))
            await (answer if isinstance(answer, Answer) else await answer).send(send)

    async def _whole(self, route: WholeRoute, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request of the extension whose body arrives in parts."""
        scope[COUNTED], url = route.name, _url_of(scope)
        answer: Answer | Promised | None = route.turned_away(url)
        if answer is None:
            try:
                body = await _read(receive, route.max_body)
            except RequestTooLarge as error:
                answer = route.refusal(Refused(TOO_LARGE, str(error)))
            else:
                if body is None:
                    return
                try:
                    request = WholeRequest(url, scope["headers"], body)
                    answer = route.answer(request, scope.get("covey.charge", _no_charge))
                except Exception:  # noqa: BLE001 - every error becomes an answer in the form of the route
                    _log.exception("%s failed", route.name)
                    answer = route.refusal(Refused(DEFECT, DEFECT_TEXT))
        made = await wait_for(answer, receive) if isinstance(answer, Promised) else answer
        if made is not None:
            if made.pause_s:  # the client sends nothing more before it has its answer
                await asyncio.sleep(made.pause_s)
            await made.send(send)


def _url_of(scope: Message) -> bytes:
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


def _failed(error: Exception) -> Answer:
    status, body = to_feast(error)
    if isinstance(error, OnlineUnavailable):
        return Answer(status, body, more=((b"retry-after", b"%d" % error.retry_after_s),))
    if status >= DEFECT:
        _log.error("%s failed", ROUTE, exc_info=error)
    return Answer(status, body)


def _accepts_arrow(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"accept" and value.startswith(ARROW_BYTES) for name, value in headers)


def _no_charge(_: int) -> None:
    """Rows are free without a guard."""


async def _read(receive: Receive, most: int = MAX_BODY) -> bytes | None:
    """The body, of at most `most` bytes; None: the client has disconnected. The server discards the unread rest."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise RequestTooLarge(f"the body has more than {most:,} bytes; request fewer rows at once")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _make_app(store: Store, reads: Reads, beside: Beside, poll_s: float, extension: Extension) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_poll(store.blocks, poll_s))
        try:
            async with extension.running(), beside(reads):
                yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    app = FastAPI(
        title="Covey feature server",
        description="The newest releases of every view.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load foreign scripts
        redoc_url=None,
    )

    @app.get("/health", summary="Which releases are served")
    async def health() -> dict[str, Any]:
        return health_of(store.blocks)

    add_probes(app, store.blocks, extension.waits_for)
    add_routes(app, reads)
    extension.add_routes(app)
    answer_with_problems(app)
    describe(app, extension.openapi_paths())
    add_docs(app)
    return app


async def _poll(blocks: Blocks, poll_s: float) -> None:
    """Refresh off the event loop, so that requests are answered while a new index is built."""
    while True:
        await asyncio.sleep(poll_s)
        try:
            await asyncio.to_thread(blocks.refresh)
        except Exception:  # noqa: BLE001 - a defect in one refresh must not prevent later ones
            _log.exception("the new releases cannot be read")


def health_of(blocks: Blocks) -> dict[str, Any]:
    """`ok`, or `stale` with the problem while an old snapshot is served. Times are µs since the epoch."""
    snapshot, problem = blocks.snapshot, blocks.problem
    return {
        "status": "ok" if problem is None else "stale",
        "problem": problem,
        "epoch": snapshot.epoch,
        "views": [
            {
                "view": rows.header.view,
                "version": rows.header.version,
                "keys": rows.header.size if rows.header.has_rows else 0,
                "pane_end": rows.header.pane_end,
                "released_at": rows.header.released_at,
                "sites": _sites(rows.header.sites),
            }
            for rows in snapshot.versions()
        ],
    }


def _sites(sites: CountedSites | None) -> dict[str, Any] | None:
    """The counted sites of a view's newest pane; None if no aggregator counted sites."""
    if sites is None:
        return None
    return {"counted": sites.counted, "of": sites.enrolled, "missing": list(sites.missing)}
