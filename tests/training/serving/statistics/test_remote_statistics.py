"""The statistics of a running server, whose answer may come from somebody else."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from deployment.printing.output import Output, TableForm
from featurestore.errors import RemoteFailed, Throttled
from training.serving.statistics.latencies import Bucket
from training.serving.statistics.remote_statistics import MAX_BYTES, print_statistics, read_statistics

MIB = 2**20


class Asked:
    """A server on the loopback, which answers one request with parts. `sent`: how many of them the asker took."""

    def __init__(self, parts: list[bytes], status: int, headers: dict[str, str]) -> None:
        self.parts, self.status, self.headers, self.sent = parts, status, headers, 0


@contextmanager
def answering(asked: Asked) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(asked.status)
            for name, value in asked.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):
                for part in asked.parts:
                    self.wfile.write(part)
                    asked.sent += 1

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_answer_is_read_up_to_the_bound_and_not_to_its_end() -> None:
    asked = Asked([b" " * MIB] * 200, 200, {})
    with answering(asked) as url, pytest.raises(RemoteFailed, match=f"more than {MAX_BYTES:,} bytes"):
        read_statistics(url)
    assert asked.sent < 100


def test_a_packed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(b'{"model_stats": []}' + b" " * MIB)
    with (
        answering(Asked([packed], 200, {"content-encoding": "gzip"})) as url,
        pytest.raises(RemoteFailed, match="has no statistics of models"),
    ):
        read_statistics(url)


def test_a_refusal_keeps_its_reason_and_the_time_of_a_retry() -> None:
    asked = Asked([b'{"detail": "too many requests"}'], 429, {"retry-after": "7"})
    with answering(asked) as url, pytest.raises(Throttled, match="too many requests") as found:
        read_statistics(url)
    assert found.value.retry_after_s == 7


def test_an_answer_without_versions_is_an_empty_list() -> None:
    with answering(Asked([b'{"model_stats": []}'], 200, {})) as url:
        assert read_statistics(url) == []


def test_stages_are_printed_with_the_ends_of_their_buckets(capsys: pytest.CaptureFixture[str]) -> None:
    duration = {"count": 4, "ns": 8_000_000}
    stats = dict.fromkeys(("success", "fail", "queue", "compute_input", "compute_infer"), duration)
    stage = {"counts": [2, 1, 1], "s": 0.008}
    latencies = {"le": [0.001, 0.0025], "stages": dict.fromkeys(("queue", "fetch", "transform", "infer"), stage)}
    one = {"name": "late", "version": "1", "inference_count": 4, "execution_count": 4, "inference_stats": stats}
    with answering(
        Asked([json.dumps({"model_stats": [{**one, "latencies": latencies}, one]}).encode()], 200, {})
    ) as url:
        found = read_statistics(url)
    assert [len(each.stages) for each in found] == [4, 0]  # a server of another kind has no histograms
    queue = found[0].stages[0]
    assert (queue.count, queue.mean_ms, queue.p50, queue.p95) == (4, 2.0, Bucket(0.0, 1.0), Bucket(2.5, None))
    print_statistics(found, Output(TableForm.PLAIN))
    assert "late@v1  queue" in (printed := capsys.readouterr().out)
    assert "> 2.5" in printed
