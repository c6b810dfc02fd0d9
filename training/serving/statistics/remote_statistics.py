"""What the models of a running server have done: `covey serve --stats URL`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import httpx

from deployment.printing.output import Output, printable
from deployment.printing.tables import Cell, Table
from featurestore.errors import RemoteFailed
from featurestore.remote.http_link import HttpLink, require_ok
from featurestore.remote.store import KEY_VARIABLE
from featurestore.remote.tls import ReaderTls

from .latencies import Bucket, StageLatency, latencies_from_json

PATH: Final = "/v2/models/stats"
MAX_BYTES: Final = 2**24
"""The most that is read of an answer."""
_PART_BYTES: Final = 2**16
_TIMEOUT_S: Final = 10.0
"""Of each wait: the statistics are at hand, so a server that is slower hangs."""


@dataclass(frozen=True)
class Served:
    """What one version has done since the server began.

    Attributes:
        requests, refused_or_failed: with an answer, and without one.
        rows, batches: that were computed.
        queue_ms, read_ms, infer_ms: means, of a request in the queue, and of a batch; None: there was none.
        stages: how long stages took, those that have times; empty where the server gives no histograms.
    """

    model: str
    version: int
    requests: int
    refused_or_failed: int
    rows: int
    batches: int
    queue_ms: float | None
    read_ms: float | None
    infer_ms: float | None
    stages: tuple[StageLatency, ...]

    @classmethod
    def of(cls, data: Any) -> Self:
        """Read an entry of the statistics extension. Raises ValueError, KeyError, TypeError, OverflowError: it is none."""
        stats = data["inference_stats"]
        return cls(
            printable(str(data["name"]))[:80],
            int(data["version"]),
            int(stats["success"]["count"]),
            int(stats["fail"]["count"]),
            int(data["inference_count"]),
            int(data["execution_count"]),
            _mean_ms(stats["queue"]),
            _mean_ms(stats["compute_input"]),
            _mean_ms(stats["compute_infer"]),
            latencies_from_json(data["latencies"]) if "latencies" in data else (),
        )

    @property
    def batch_rows(self) -> float | None:
        """The mean rows of a batch."""
        return self.rows / self.batches if self.batches else None

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "batch_rows": self.batch_rows}


def read_statistics(url: str) -> list[Served]:
    """Ask a server. The environment variables of readers name the API key and the files of TLS.

    Raises:
        RemoteFailed: the server is away, or serves no models. TlsError. KeyRefused.
    """
    if not url.startswith(("http://", "https://")):
        raise RemoteFailed(f"{url[:200]!r}: a server of models has a URL with http or https")
    link = HttpLink(url, os.environ.get(KEY_VARIABLE) or None, ReaderTls.from_environment())
    plain = {"accept-encoding": "identity"}  # a short answer could unpack to a long one
    with link.client, link.reached(), link.client.stream("GET", PATH, headers=plain, timeout=_TIMEOUT_S) as answer:
        content = bytearray()
        for part in answer.iter_raw(_PART_BYTES):
            content += part
            if len(content) > MAX_BYTES:
                raise RemoteFailed(f"{url}: the answer of {PATH} has more than {MAX_BYTES:,} bytes")
    wait = {name: value for name, value in answer.headers.items() if name == "retry-after"}
    require_ok(httpx.Response(answer.status_code, headers=wait, content=bytes(content)))
    try:
        return [Served.of(one) for one in json.loads(content)["model_stats"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise RemoteFailed(f"{url}: the answer of {PATH} has no statistics of models") from None


def print_statistics(found: list[Served], out: Output) -> None:
    """Print one line for each version, and one for each of its stages."""
    table = Table("model", "answers", "without", "rows", "batches", "rows/batch", "queue ms", "read ms", "infer ms")
    for one in found:
        table.add_row(
            f"{one.model}@v{one.version}",
            *(Cell(f"{count:,}", count) for count in (one.requests, one.refused_or_failed, one.rows, one.batches)),
            *(_cell(number) for number in (one.batch_rows, one.queue_ms, one.read_ms, one.infer_ms)),
        )
    out.table(table)
    stages = [(one, stage) for one in found for stage in one.stages]
    if not stages:
        return
    latencies = Table("model", "stage", "times", "mean ms", "half within ms", "95 % within ms")
    for one, stage in stages:
        latencies.add_row(
            f"{one.model}@v{one.version}",
            stage.stage,
            Cell(f"{stage.count:,}", stage.count),
            _cell(stage.mean_ms),
            _within(stage.p50),
            _within(stage.p95),
        )
    out.table(latencies)


def _within(bucket: Bucket) -> Cell:
    """The upper end of a bucket, which is as fine as the server's histogram is."""
    return Cell(f"> {bucket.from_ms:,g}", None) if bucket.to_ms is None else Cell(f"{bucket.to_ms:,g}", bucket.to_ms)


def _cell(number: float | None) -> Cell:
    return Cell("—", None) if number is None else Cell(f"{number:.3g}", number)


def _mean_ms(duration: Any) -> float | None:
    count, ns = int(duration["count"]), int(duration["ns"])
    return ns / count / 1e6 if count else None
