"""The body of an HTTP request: decompressed within a bound, and divided into its JSON part and the raw bytes of tensors."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from featurestore.errors import BadRequest, RequestTooLarge
from featurestore.server.refusal import Header
from featurestore.server.request import MAX_BODY
from training.serving.timeout_header import timeout_of

from .tensors import SHOWN

JSON_LENGTH: Final = b"inference-header-content-length"
_WINDOWS: Final = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}
"""How zlib reads each coding."""


@dataclass(frozen=True)
class BodyHeaders:
    """The headers that say how to read a body.

    Attributes:
        json_length: how many bytes of the body are JSON; None: all of them.
        coding: how it is compressed; None: it is not.
        timeout_s: how long the client waits.
    """

    json_length: int | None = None
    coding: bytes | None = None
    timeout_s: float | None = None

    @classmethod
    def of(cls, headers: Sequence[Header]) -> Self:
        """Read the headers of a request. Raises BadRequest."""
        length = coding = None
        for name, value in headers:
            if name == JSON_LENGTH:
                length = _length(value)
            elif name == b"content-encoding":
                coding = _coding(value)
        return cls(length, coding, timeout_of(headers))

    def divide(self, body: bytes) -> tuple[bytes, memoryview]:
        """(the JSON, the raw bytes after it). Raises BadRequest, RequestTooLarge."""
        whole = body if self.coding is None else _inflated(body, self.coding)
        if self.json_length is None:
            return whole, memoryview(b"")
        if self.json_length > len(whole):
            raise BadRequest(
                f"Inference-Header-Content-Length is {self.json_length:,}, but the body has {len(whole):,} bytes"
            )
        return whole[: self.json_length], memoryview(whole)[self.json_length :]


def _length(value: bytes) -> int:
    if not value.isdigit() or len(value) > 9:
        raise BadRequest(f"Inference-Header-Content-Length must be a number of bytes, not {_shown(value)}")
    return int(value)


def _coding(value: bytes) -> bytes | None:
    name = value.strip().lower()
    if name in (b"", b"identity"):
        return None
    if name not in _WINDOWS:
        raise BadRequest(f"Content-Encoding {_shown(value)} is not read; it may be gzip or deflate")
    return name


def _shown(value: bytes) -> str:
    return repr(value.decode("latin-1")[:SHOWN])


def _inflated(body: bytes, coding: bytes) -> bytes:
    """The decompressed body. Not more than the bound is ever allocated, however much the body would become."""
    reader = zlib.decompressobj(_WINDOWS[coding])
    try:
        whole = reader.decompress(body, MAX_BODY + 1)
    except zlib.error as error:
        raise BadRequest(f"the body is not {coding.decode()}: {error}") from None
    if len(whole) > MAX_BODY:
        raise RequestTooLarge(f"the decompressed body has more than {MAX_BODY:,} bytes; send fewer rows at once")
    if not reader.eof or reader.unused_data:
        raise BadRequest(f"the body is not one whole {coding.decode()} stream")
    return whole
