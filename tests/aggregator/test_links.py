"""The gRPC connections to a peer that is far away, or sends without an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import grpc
import pytest

from aggregator.errors import MessageMalformed, RemoteRefusal
from aggregator.intake.preparation import MAX_KEYS_BYTES
from aggregator.services import aggregator_pb2 as pb
from aggregator.services import aggregator_pb2_grpc as pb_grpc
from aggregator.services.client import Aggregators
from aggregator.services.peer_channels import HelperChannel
from aggregator.services.rpc import PART_BYTES
from tests.aggregator.world import draft, make_plan, running
from tests.machines.proxy import Delay, proxy_to


def test_peers_connect_over_a_link_with_a_round_trip_of_most_of_a_second(tmp_path: Path) -> None:
    with running(tmp_path) as world, proxy_to(world.helper.address) as proxy:
        proxy.mode = Delay(0.4)
        link = HelperChannel(proxy.address)
        try:
            assert link.prepare(draft(make_plan())) == link.prepare(draft(make_plan()))
        finally:
            link.close()


class Endless(pb_grpc.HelperServicer):
    """A helper whose streams have no end. It counts what was taken from them."""

    def __init__(self, first: bytes, then: bytes) -> None:
        self._first, self._then, self.sent = first, then, 0

    def _parts(self, part: Callable[[bytes], Any]) -> Iterator[Any]:
        yield part(self._first)
        for data in repeat(self._then):
            self.sent += 1
            yield part(data)

    def Prepare(self, request: pb.PrepareRequest, context: grpc.ServicerContext) -> Iterator[pb.PreparedPart]:  # noqa: N802 - of gRPC
        return self._parts(lambda data: pb.PreparedPart(encryption_keys=data))

    def Swap(self, request_iterator: Iterator[pb.SwapPart], context: grpc.ServicerContext) -> Iterator[pb.SwapPart]:  # noqa: N802
        return self._parts(lambda data: pb.SwapPart(shares=data))


@contextmanager
def listening(servicer: Endless) -> Iterator[str]:
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        pb_grpc.add_HelperServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()


@pytest.mark.parametrize(
    ("then", "why"), [(bytes(PART_BYTES), f"more than {MAX_KEYS_BYTES:,} bytes"), (b"", "is empty")]
)
def test_a_preparation_without_an_end_is_refused_and_not_kept(then: bytes, why: str) -> None:
    servicer = Endless(b"key", then)
    with listening(servicer) as address, Aggregators(address, address, patience_s=0) as client:
        with pytest.raises(MessageMalformed, match=why):
            client.prepare(draft(make_plan()))
        link = HelperChannel(address)
        with pytest.raises(MessageMalformed, match=why):
            link.prepare(draft(make_plan()))
        link.close()


def test_a_service_that_does_not_know_a_call_is_of_another_version() -> None:
    with listening(Endless(b"", b"")) as address:
        link = HelperChannel(address)
        with pytest.raises(RemoteRefusal, match="Install one version for all roles") as refused:
            link.aggregate(b"")
        link.close()
    assert refused.value.reason == "UNIMPLEMENTED"


@pytest.mark.parametrize("then", [b"x" * 1_000, b""])
def test_swapped_shares_without_an_end_are_read_as_far_as_the_own_ones_are_long(then: bytes) -> None:
    with listening(Endless(b"some", then)) as address:
        link = HelperChannel(address)
        pieces = link.swap(bytes(32), bytes(2_500))
        link.close()
    assert len(b"".join(pieces)) <= 2_500 + len(then)
    assert len(pieces) <= 4
