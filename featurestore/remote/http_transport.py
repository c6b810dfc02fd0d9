"""A remote store over HTTP. This module only translates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx
from google.protobuf.message import DecodeError

from base.errors import CoveyError
from featurestore.errors import KeyRefused, RemoteFailed, Throttled, error_named, retry_after
from featurestore.read import features_pb2 as pb
from featurestore.read.messages import request_of, vectors_of
from featurestore.read.request import Entities
from featurestore.read.vectors import Vectors
from featurestore.registry.watch import Published, published_from_json

from .tls import ReaderTls, refusal_of_clear_text

ARROW: Final = "application/vnd.apache.arrow.stream"
PROTOBUF: Final = "application/x-protobuf"
VECTORS: Final = "/v1/vectors"
READ: Final = "/v1/read"
WATCH: Final = "/v1/watch"

_TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
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
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._tls = tls if url.startswith("https:") else None
        verify = False if self._tls is None else self._tls.context()
        try:
            self._client = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=False, verify=verify)
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise RemoteFailed(f"{url[:200]!r} is not the URL of a feature server ({error})") from None
        self._url = url

    def vectors(self, refs: Sequence[str], entities: Entities, *, intervals: bool) -> Vectors:
        """See `Transport`."""
        body = request_of(refs, entities, intervals=intervals).SerializeToString()
        with self._reached():
            response = self._client.post(VECTORS, content=body, headers={"content-type": PROTOBUF, "accept": PROTOBUF})
        _require_ok(response)
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
            timeout=_TIMEOUT if data is None else _JOIN_TIMEOUT,
        )
        with self._reached():
            response = self._client.send(request, stream=True)
            if response.status_code != httpx.codes.OK:
                response.read()
        if response.status_code != httpx.codes.OK:
            _require_ok(response)
        return self._parts(response)

    def subscribe(self, view: str, after: int | None) -> Iterator[Published]:
        """See `Transport`."""
        parameters: dict[str, str | int] = {"view": view} | ({} if after is None else {"after": after})
        with self._reached():
            request = self._client.build_request("GET", WATCH, params=parameters, timeout=_JOIN_TIMEOUT)
            response = self._client.send(request, stream=True)
            if response.status_code != httpx.codes.OK:
                response.read()
        _require_ok(response)
        return self._published(response)

    def close(self) -> None:
        """See `Transport`."""
        self._client.close()

    def _parts(self, response: httpx.Response) -> Iterator[bytes]:
        with self._reached():
            try:
                yield from response.iter_bytes()
            finally:
                response.close()

    def _published(self, response: httpx.Response) -> Iterator[Published]:
        with self._reached():
            try:
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        yield published_from_json(line.removeprefix("data:"))
            finally:
                response.close()
        raise RemoteFailed(f"{self._url} ended the watch")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise self._why(error) or RemoteFailed(f"{self._url}: {error or type(error).__name__}") from None

    def _why(self, error: httpx.HTTPError) -> CoveyError | None:
        """The error of TLS that a failed call may have; None if TLS is not the reason."""
        if not isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
            return None
        url = self._client.base_url
        if self._tls is None:
            return refusal_of_clear_text(url.host, url.port or 80)
        return self._tls.why(url.host, url.port or 443)


def _require_ok(response: httpx.Response) -> None:
    """Raise the error that a problem (RFC 9457) names."""
    if response.status_code == httpx.codes.OK:
        return
    status = response.status_code
    try:
        found = json.loads(response.content)
        name, detail = str(found.get("error", "")), str(found["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RemoteFailed(f"the server answered {status}in a form that no feature server uses") from None
    named = {429: Throttled.__name__, 401: KeyRefused.__name__}
    raise error_named(named.get(status, name), detail, retry_after(response.headers.get("retry-after")))
