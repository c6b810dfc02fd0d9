"""One reader of the soak test, in its own process: `python -m tests.featurestore.soaking KIND WHERE`.

It reads in a loop and prints `ready` after its first answer. A line with a number on its standard input ends it as soon as it
has seen that publication. It then prints its observations as JSON.
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import psutil

from featurestore.read import features_pb2 as pb
from featurestore.read import features_pb2_grpc as pb_grpc
from featurestore.read.messages import request_of, vectors_of
from featurestore.read.vectors import Vectors
from featurestore.store import Store

VIEWS: Final = ("arrivals", "departures")
COLUMNS: Final = tuple(f"{view}__{name}" for view in VIEWS for name in ("flights", "flights_3h"))
REFS: Final = [name.replace("__", ":") for name in COLUMNS]
KEYS: Final = [f"k{i:04d}" for i in range(1_000)]
ASKED: Final = {"dest": KEYS[::37]}
SERVICE: Final = "model"
PAUSE_S: Final = 0.001
"""Readers pause this long, so that the writer gets its share of a small machine."""
SAMPLE_S: Final = 0.2
LAST_S: Final = 30.0


def service_refs(publication: int) -> list[str]:
    """The features of the service after a publication: four orders, in turns."""
    at = publication % 4
    return REFS[at:] + REFS[:at]


def publication_of(values: Mapping[str, Sequence[float]]) -> int:
    """The publication of all of these values; MixedEpochError if they come from more than one.

    Publication 2k is that of pane 2k + 1, before pane 2k is there; 2k + 1 is that of pane 2k, which comes late. Every slot of
    pane i is i, so the window of three panes is 4k after the first, and 6k after the second.
    """
    panes = {value for view in VIEWS for value in values[f"{view}__flights"]}
    windows = {value for view in VIEWS for value in values[f"{view}__flights_3h"]}
    if len(panes) == len(windows) == 1:
        (pane,), (window,) = panes, windows
        k = (int(pane) - 1) // 2
        if (pane, window) in {(2 * k + 1, 4 * k), (2 * k + 1, 6 * k)}:
            return 2 * k + (window == 6 * k)
    raise MixedEpochError(f"{panes} and {windows} in one answer")


class MixedEpochError(Exception):
    """One answer contains values of more than one publication."""


@dataclass
class Resources:
    """The resources of a process at one time: MB of memory, open files, and mapped blocks."""

    rss: float
    files: int
    blocks: int

    @classmethod
    def now(cls, pid: int) -> Resources:
        """The present resources of a process."""
        process = psutil.Process(pid)
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
        mapped = {line.split(maxsplit=5)[5] for line in maps if "/store/blocks/" in line}
        return cls(process.memory_info().rss / 2**20, process.num_fds(), len(mapped))


@dataclass
class Observations:
    """The observations of a reader.

    Attributes:
        reads: the number of answers; epochs: the number of different publications among them.
        last: the last publication.
        errors: the first few errors.
        held: the resources at each check.
    """

    reads: int = 0
    epochs: int = 0
    last: int = 0
    errors: list[str] = field(default_factory=list)
    held: list[Resources] = field(default_factory=list)

    def take(self, values: Mapping[str, Sequence[float]], order: Sequence[str], *, by_service: bool) -> int:
        """Check one answer. Returns its publication."""
        publication = publication_of(values)
        orders = [list(COLUMNS)]
        if by_service:  # the service changes after the publication
            orders = [[ref.replace(":", "__") for ref in service_refs(publication - one)] for one in (0, 1)]
        if list(order) not in orders:
            raise MixedEpochError(f"publication {publication} with the columns {', '.join(order)}")
        self.reads += 1
        return publication


class OverHttp:
    """Two connections, which may lead to two workers."""

    def __init__(self, where: str) -> None:
        host, _, port = where.rpartition(":")
        self._connections = [http.client.HTTPConnection(host, int(port), timeout=60) for _ in range(2)]
        wanted = ({"features": REFS}, {"feature_service": SERVICE})
        self._bodies = [json.dumps(one | {"entities": ASKED, "full_feature_names": True}) for one in wanted]

    def readers(self, seen: Observations) -> Iterable[Callable[[], int]]:
        """Functions that each return the publication of one answer."""
        for connection in self._connections:
            yield lambda connection=connection: max(  # type: ignore[misc]
                self._ask(connection, seen, by_service) for by_service in (False, True)
            )

    def _ask(self, connection: http.client.HTTPConnection, seen: Observations, by_service: bool) -> int:
        connection.request("POST", "/get-online-features", self._bodies[by_service])
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {text[:200]!r}")
        answer = json.loads(text)
        names = answer["metadata"]["feature_names"]
        values = {name: one["values"] for name, one in zip(names, answer["results"], strict=True)}
        return seen.take(values, names[1:], by_service=by_service)


class OverGrpc:
    """One channel."""

    def __init__(self, where: str) -> None:
        channel = grpc.insecure_channel(where)
        grpc.channel_ready_future(channel).result(60)
        self._call: Any = pb_grpc.FeaturesStub(channel).GetFeatures
        by_name = request_of([], ASKED)
        by_name.feature_service = SERVICE
        self._requests: list[pb.GetFeaturesRequest] = [request_of(REFS, ASKED), by_name]
        self._epochs = Epochs()

    def readers(self, seen: Observations) -> Iterable[Callable[[], int]]:
        """See `OverHttp`."""
        yield lambda: max(self._ask(seen, by_service) for by_service in (False, True))

    def _ask(self, seen: Observations, by_service: bool) -> int:
        return self._epochs.take(vectors_of(self._call(self._requests[by_service], timeout=60)), seen, by_service)


class InProcess:
    """`Store.reader`."""

    def __init__(self, where: str) -> None:
        self._reader = Store.open(Path(where)).reader(REFS)
        self._epochs = Epochs()

    def readers(self, seen: Observations) -> Iterable[Callable[[], int]]:
        """See `OverHttp`."""
        yield lambda: self._epochs.take(self._reader.read(ASKED), seen, by_service=False)


class ByGet:
    """`Store.get`."""

    def __init__(self, where: str) -> None:
        self._store = Store.open(Path(where))

    def readers(self, seen: Observations) -> Iterable[Callable[[], int]]:
        """See `OverHttp`."""
        yield lambda: self._ask(seen)

    def _ask(self, seen: Observations) -> int:
        table = self._store.get(REFS, ASKED, full_names=True)
        return seen.take({name: table[name].to_pylist() for name in COLUMNS}, COLUMNS, by_service=False)


class Epochs:
    """The publication of each epoch. An epoch has one publication, and none is older than the one before."""

    def __init__(self) -> None:
        self._last = (0, 0)

    def take(self, vectors: Vectors, seen: Observations, by_service: bool) -> int:
        """Check one answer."""
        values = {name: vectors.values[:, at].tolist() for at, name in enumerate(vectors.names)}
        publication = seen.take(values, vectors.names, by_service=by_service)
        epoch, before = self._last
        if vectors.epoch < epoch or (vectors.epoch == epoch and publication != before):
            raise MixedEpochError(f"epoch {vectors.epoch} holds {publication}, epoch {epoch} held {before}")
        self._last = (vectors.epoch, publication)
        return publication


KINDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "http": OverHttp,
    "grpc": OverGrpc,
    "reader": InProcess,
    "get": ByGet,
}


def main(kind: str, where: str) -> None:
    """Read until told to stop."""
    seen = Observations()
    readers = list(KINDS[kind](where).readers(seen))
    newest = [0] * len(readers)
    final, looked, end = None, 0.0, float("inf")
    while final is None or (min(newest) < final and time.monotonic() < end):
        for at, read in enumerate(readers):
            try:
                publication = read()
                if publication < newest[at]:
                    raise MixedEpochError(f"publication {publication} after {newest[at]}")
                seen.epochs += publication > newest[at]
                newest[at] = publication
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                seen.errors.append(f"{type(error).__name__}: {error}"[:300])
                if len(seen.errors) >= 5:
                    final = 0
        time.sleep(PAUSE_S)
        if seen.reads and not seen.held:
            say("ready")
        if time.monotonic() - looked > SAMPLE_S:
            looked = time.monotonic()
            seen.held.append(Resources.now(os.getpid()))
        if final is None and select.select([sys.stdin], [], [], 0)[0]:
            final, end = int(sys.stdin.readline()), time.monotonic() + LAST_S
    gc.collect()
    seen.last = min(newest)
    say(json.dumps(asdict(seen)))


def say(line: str) -> None:
    """Send a line to the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
