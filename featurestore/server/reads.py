"""The reads of remote stores, over HTTP or gRPC: vectors, whole tables, and published panes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import IO, Final

from google.protobuf.message import DecodeError

from featurestore.errors import BadRequest, RequestTooLarge
from featurestore.read import features_pb2 as pb
from featurestore.read.messages import parse_request, reply_of, require_small
from featurestore.read.vectors import VectorPlan
from featurestore.registry.watch import POLL_S, Published
from featurestore.store import Store

from .batching import Batcher
from .first_reads import FirstReads
from .plans import Plans
from .prepared import Kept, Prepared, same_until
from .tables import Arguments, read_table

MAX_TABLE: Final = 4 * 2**30
"""The most bytes of one join's labels, which are on the server's disk during the join."""
MAX_KEYS_TABLE: Final = 2**27
"""The most bytes of one `get`'s keys, which are in memory."""
MAX_JOINS: Final = 2
"""How many joins run at a time: each uses a share of the free memory."""
MAX_TABLES: Final = 4
"""How many tables are read at a time. They have their own threads, so small reads and new releases never wait for them."""
_MAX_SEQ: Final = 2**62
STALL_S: Final = 60
"""How long a sender of a table may pause, because it occupies a join's place."""
_IN_MEMORY: Final = 2**20


class Reads:
    """The reads of one store.

    Args:
        batcher: joins concurrent reads of views that a disk or a network holds.
        first: the publications that were read already, for traces.
    """

    def __init__(self, store: Store, batcher: Batcher, first: FirstReads) -> None:
        self._store, self._batcher, self._first = store, batcher, first
        self._plans: Plans[tuple[str, ...], VectorPlan] = Plans()
        self._prepared: Prepared[bytes] = Prepared()
        self._joins = asyncio.Semaphore(MAX_JOINS)
        self._threads = ThreadPoolExecutor(MAX_TABLES, "covey-table")

    async def vectors(self, request: bytes, charge: Callable[[int], None]) -> bytes:
        """The newest vectors of some keys: a `GetFeaturesReply` to a `GetFeaturesRequest`.

        Args:
            charge: receives the number of rows before they are read.

        Raises:
            BadRequest, RequestTooLarge, BadReference, UnknownView, UnknownFeature, UnknownFeatureService, OnDemandFailed.
        """
        snapshot, on_demand, now = self._store.blocks.require(), self._store.on_demand, self._store.clock()
        if (kept := self._prepared.find(snapshot, request, now)) is not None:
            charge(kept.rows)
            return kept.answer
        try:
            message = pb.GetFeaturesRequest.FromString(request)
        except DecodeError:
            raise BadRequest("the request is not a GetFeaturesRequest") from None
        refs, service, entities = parse_request(message)
        count = len(next(iter(entities.values()))) if entities else 1
        charge(count)
        named = refs or snapshot.service(service)
        plan = self._plans.find(snapshot, named, lambda: VectorPlan(snapshot, named, on_demand))
        require_small(count, len(plan.names) * (2 if message.intervals else 1))
        with self._first.of(plan.views):
            placed = await self._batcher.placed(plan.views, entities, count)
            if placed:  # the read took its time
                now = self._store.clock()
            vectors = plan.read(entities, count, now, placed, intervals=message.intervals)
        reply = reply_of(vectors).SerializeToString()
        if not placed and not plan.computed and (until := same_until(plan.views, now)) is not None:
            self._prepared.keep(snapshot, request, Kept(reply, len(reply), count, until))
        return reply

    async def table(
        self, name: str, arguments: str | bytes, data: AsyncIterator[bytes] | None, charge: Callable[[int], None]
    ) -> AsyncIterator[bytes]:
        """Start a read of `featurestore.server.tables`, and raise the errors of its start.

        Args:
            charge: receives the number of rows as they are read.

        Raises:
            RequestTooLarge: the table has more than `MAX_TABLE` or `MAX_KEYS_TABLE` bytes. Other errors: see `read_table`.
        """
        loop = asyncio.get_running_loop()

        def charged(rows: int) -> None:
            loop.call_soon_threadsafe(charge, rows)

        async with AsyncExitStack() as held:
            if name == "join":  # before its labels are received, because they fill the disk
                await held.enter_async_context(self._joins)
            most = MAX_TABLE if name == "join" else MAX_KEYS_TABLE
            spooled = None if data is None else held.enter_context(await _spooled(data, most))
            begun = await _begun(
                lambda: read_table(self._store, name, Arguments(arguments), spooled, charged), self._threads
            )
            return _off_the_loop(begun, held.pop_all(), self._threads)

    async def published(self, view: str, after: int | None) -> AsyncIterator[Published]:
        """Yield the panes that are published of a view after a publication (None: from now on), without end.

        Raises:
            UnknownView. BadRequest: `after` is not the number of a publication.
        """
        if after is not None and after > _MAX_SEQ:
            raise BadRequest(f"`after` must be the number of a publication, not {after}")
        seen = after
        if seen is None:
            seen = max((one.seq for one in await asyncio.to_thread(self._store.published, view, 0)), default=0)
        else:
            await asyncio.to_thread(self._store.published, view, _MAX_SEQ)
        return self._follow(view, seen)

    async def _follow(self, view: str, seen: int) -> AsyncIterator[Published]:
        while True:
            epoch = (
                self._store.blocks.snapshot.epoch
            )  # taken before the look, so a later publication wakes the next wait
            for one in await asyncio.to_thread(self._store.published, view, seen):
                yield one
                seen = one.seq
            while self._store.blocks.snapshot.epoch == epoch:
                await asyncio.sleep(POLL_S)


async def _spooled(data: AsyncIterator[bytes], most: int) -> IO[bytes]:
    """The received table, on disk if it is large. Raises RequestTooLarge."""
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - its caller closes it
    size = 0
    try:
        while (part := await _next_part(data)) is not None:
            size += len(part)
            if size > most:
                raise RequestTooLarge(f"a table of more than {most:,} bytes; send it in parts")
            if size > _IN_MEMORY:
                await asyncio.to_thread(file.write, part)
            else:
                file.write(part)
    except BaseException:  # the sender may disconnect
        file.close()
        raise
    file.seek(0)
    return file


async def _next_part(data: AsyncIterator[bytes]) -> bytes | None:
    """The next part; None at the end. Raises BadRequest: no part arrived for `STALL_S` seconds."""
    try:
        async with asyncio.timeout(STALL_S):
            return await anext(data, None)
    except TimeoutError:
        raise BadRequest(f"the client sent nothing for {STALL_S} s") from None


async def _begun(start: Callable[[], Iterator[bytes]], threads: Executor) -> Iterator[bytes]:
    """An iterator whose first part is read already, so that early errors are raised here."""

    def first() -> Iterator[bytes]:
        parts = start()
        return _after(next(parts, b""), parts)

    return await asyncio.get_running_loop().run_in_executor(threads, first)


def _after(first: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from parts


async def _off_the_loop(parts: Iterator[bytes], held: AsyncExitStack, threads: Executor) -> AsyncIterator[bytes]:
    """Yield the parts, each made in a thread; release what they hold after the last one."""
    async with held:
        loop = asyncio.get_running_loop()
        while (part := await loop.run_in_executor(threads, next, parts, None)) is not None:
            yield part
