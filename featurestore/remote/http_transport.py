"""A remote store over HTTP. This module only translates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import httpx
from google.protobuf.message import DecodeError

from featurestore.errors import RemoteFailed
from featurestore.read import features_pb2 as pb
from featurestore.read.messages import request_of, vectors_of
from featurestore.read.request import Entities
from featurestore.read.vectors import Vectors
from featurestore.registry.watch import Published, published_from_json

from .http_link import TIMEOUT, HttpLink, require_ok
from .tls import ReaderTls

ARROW: Final = "application/vnd.apache.arrow.stream"
PROTOBUF: Final = "application/x-protobuf"
VECTORS: Final = "/v1/vectors"
READ: Final = "/v1/read"
WATCH: Final = "/v1/watch"

_JOIN_TIMEOUT: Final = httpx.Timeout(None, connect=10.0)
"""The time limit of an answer, s: a join answers only after it has read its labels."""


class HttpTransport:
    """See `featurestore.remote.store.Transport`.

    Args:
        url: `http://…` or `https://…`.
        key: an API key of the server.
        tls: for `https://…`.

    Raises:
        RemoteFailed: the URL is invalid. TlsError: a file of `tls` cannot be used.
    """

    def __init__(self, url: str, key: str | None, tls: ReaderTls) -> None:
        self._link = HttpLink(url, key, tls)
        self._client = self._link.client

    def vectors(self, refs: Sequence[str], entities: Entities, *, intervals: bool) -> Vectors:
        """See `Transport`."""
        body = request_of(refs, entities, intervals=intervals).SerializeToString()
        with self._link.reached():
            response = self._client.post(VECTORS, content=body, headers={"content-type": PROTOBUF, "accept": PROTOBUF})
        require_ok(response)
        try:
            return vectors_of(pb.GetFeaturesReply.FromString(response.content))
        except DecodeError:
            raise RemoteFailed("the server's answer is not a GetFeaturesReply") from None

    def read(self, name: str, arguments: Mapping[str, Any], data: Iterable[bytes] | None) -> Iterator[bytes]:
        """See `Transport`."""
        request = self._client.build_request(
            "POST",
            f"{READ}/{name}",
            params={"arguments": json.dumps(arguments)},
            content=iter(data) if data is not None else None,
            headers={"accept": ARROW, **({"content-type": ARROW} if data is not None else {})},
            timeout=TIMEOUT if data is None else _JOIN_TIMEOUT,
        )
        with self._link.reached():
            response = self._client.send(request, stream=True)
            if response.status_code != httpx.codes.OK:
                response.read()
        if response.status_code != httpx.codes.OK:
            require_ok(response)
        return self._parts(response)

    def subscribe(self, view: str, after: int | None) -> Iterator[Published]:
        """See `Transport`."""
        parameters: dict[str, str | int] = {"view": view} | ({} if after is None else {"after": after})
        with self._link.reached():
            request = self._client.build_request("GET", WATCH, params=parameters, timeout=_JOIN_TIMEOUT)
            response = self._client.send(request, stream=True)
            if response.status_code != httpx.codes.OK:
                response.read()
        require_ok(response)
        return self._published(response)

    def close(self) -> None:
        """See `Transport`."""
        self._client.close()

    def _parts(self, response: httpx.Response) -> Iterator[bytes]:
        with self._link.reached():
            try:
                yield from response.iter_bytes()
            finally:
                response.close()

    def _published(self, response: httpx.Response) -> Iterator[Published]:
        with self._link.reached():
            try:
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        yield published_from_json(line.removeprefix("data:"))
            finally:
                response.close()
        raise RemoteFailed(f"{self._link.url} ended the watch")
