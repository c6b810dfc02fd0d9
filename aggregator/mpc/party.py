"""A process of the MPC finish, `python -m aggregator.mpc.party`: leader's or helper's party, or the provider of triples.

`aggregator.mpc.finish` starts and ends it, and writes blocks to its standard input: first the role, then for each view the
terms (JSON), then shares of whole cells, uint64 in Field64. Leader and helper answer shares with the opened values:
int64[cells, slots], then one byte per cell, 1 if it is suppressed. The process ends with its input, whatever it waits for. It
exits with `PEER_LOST` if another of the three has ended.
"""

from __future__ import annotations

import gc

from base.start_up import GC_THRESHOLD

if __name__ == "__main__":
    gc.set_threshold(GC_THRESHOLD)

import json
import os
import sys
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread
from typing import IO, Final, Literal, get_args

import numpy as np

from crypto import field
from crypto.mpc_shares import helper_to_ring, leader_to_ring

Role = Literal["leader", "helper", "provider"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""By rank."""
PEER_LOST: Final = 3
ROLE, TERMS, SHARES = b"r", b"t", b"s"
HEAD_BYTES: Final = 9
"""Length of a block's head: its kind, and its length as u64 LE."""
MAX_BLOCK: Final = 2**24
Block = tuple[bytes, bytes]


def block(kind: bytes, data: bytes) -> bytes:
    """The bytes of a block."""
    return kind + len(data).to_bytes(HEAD_BYTES - 1, "little") + data


def _blocks(pipe: IO[bytes]) -> Iterator[Block]:
    """(kind, content) until the end of the input, or until malformed bytes."""
    while len(head := pipe.read(HEAD_BYTES)) == HEAD_BYTES:
        size = int.from_bytes(head[1:], "little")
        if size > MAX_BLOCK or len(data := pipe.read(size)) != size:
            return
        yield head[:1], data


def _take(pipe: IO[bytes], blocks: SimpleQueue[Block]) -> None:
    for one in _blocks(pipe):
        blocks.put(one)
    os._exit(0)  # the parent has ended, or has its answers


def _compute(leads: bool, blocks: SimpleQueue[Block], sink: IO[bytes]) -> None:
    from crypto.mpc import suppress

    to_ring = leader_to_ring if leads else helper_to_ring
    slots, counts, least = 0, [0], 0
    while True:
        kind, data = blocks.get()
        if kind == TERMS:
            terms = json.loads(data)
            slots, counts, least = terms["slots"], terms["counts"], terms["least"]
            continue
        shares = to_ring(field.from_bytes(data)).reshape(-1, slots)
        opened, suppressed = suppress(shares, counts, least)
        sink.write(np.ascontiguousarray(opened).tobytes() + suppressed.tobytes())
        sink.flush()


def main() -> None:
    """Run the process for its parent."""
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print to standard output
    blocks: SimpleQueue[Block] = SimpleQueue()
    Thread(target=_take, args=(sys.stdin.buffer, blocks), daemon=True).start()
    role = blocks.get()[1].decode()
    from crypto.mpc import PeerLost, meet, provide

    try:
        if role == "provider":
            provide()
        else:
            meet()
            _compute(role == "leader", blocks, sink)
    except PeerLost as error:
        sys.stderr.write(f"mpc {role}: {str(error).splitlines()[0]}\n")
        sys.stderr.flush()
    os._exit(PEER_LOST)  # without exit handlers: no library waits for the other processes


if __name__ == "__main__":
    main()
