from __future__ import annotations

import gzip
import re
import tracemalloc
import zlib

import pytest

from featurestore.errors import BadRequest, RequestTooLarge
from featurestore.server.request import MAX_BODY
from training.serving.oip.infer_body import BodyHeaders


def read(body: bytes, coding: bytes) -> bytes:
    found, _ = BodyHeaders.of([(b"content-encoding", coding)]).divide(body)
    return found


@pytest.mark.parametrize("coding", [b"gzip", b"GZIP ", b"deflate", b"identity"])
def test_a_compressed_body_is_read(coding: bytes) -> None:
    made = {b"g": gzip.compress, b"d": zlib.compress, b"i": bytes}[coding[:1].lower()](b"{}")
    assert read(made, coding) == b"{}"


@pytest.mark.parametrize(
    ("body", "coding", "why"),
    [
        (b"{}", b"gzip", "the body is not gzip"),
        (b"{}", b"deflate", "the body is not deflate"),
        (gzip.compress(b"{}", mtime=0)[:-3], b"gzip", "not one whole gzip stream"),
        (gzip.compress(b"{}", mtime=0) * 2, b"gzip", "not one whole gzip stream"),
        (b"", b"gzip", "not one whole gzip stream"),
        (b"{}", b"br", "Content-Encoding 'br' is not read; it may be gzip or deflate"),
        (b"{}", b"gzip, gzip", "is not read"),
    ],
)
def test_one_that_is_not_what_its_header_says_is_refused(body: bytes, coding: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(why)):
        read(body, coding)


def test_a_bomb_is_never_allocated() -> None:
    body = gzip.compress(bytes(40 * MAX_BODY), 1)
    tracemalloc.start()
    try:
        with pytest.raises(RequestTooLarge, match="the decompressed body has more than 8,388,608 bytes"):
            read(body, b"gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX_BODY
