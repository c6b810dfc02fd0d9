"""A connection to a feature server over HTTP, and the errors that it answers with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from base.errors import CoveyError
from featurestore.errors import FeatureStoreError, KeyRefused, RemoteFailed, Throttled, error_named, retry_after

from .tls import ReaderTls, refusal_of_clear_text

TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)


class HttpLink:
    """A connection.

    Args:
        url: `http://…` or `https://…`.
        key: an API key of the server.
        tls: for `https://…`.

    Raises:
        RemoteFailed: the URL is invalid. TlsError: a file of `tls` cannot be used.
    """

    def __init__(self, url: str, key: str | None, tls: ReaderTls) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.url, self._tls = url, tls if url.startswith("https:") else None
        verify = False if self._tls is None else self._tls.context()
        try:
            self.client = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False, verify=verify)
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise RemoteFailed(f"{url[:200]!r} is not the URL of a feature server ({error})") from None

    @contextmanager
    def reached(self) -> Iterator[None]:
        """A block that calls the server. Raises RemoteFailed, TlsError."""
        try:
            yield
        except httpx.HTTPError as error:
            raise self._why(error) or RemoteFailed(f"{self.url}: {error or type(error).__name__}") from None

    def _why(self, error: httpx.HTTPError) -> CoveyError | None:
        """The error of TLS that a failed call may have; None if TLS is not the reason."""
        if not isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
            return None
        url = self.client.base_url
        if self._tls is None:
            return refusal_of_clear_text(url.host, url.port or 80)
        return self._tls.why(url.host, url.port or 443)


def require_ok(response: httpx.Response, named: Callable[[str, str, int], FeatureStoreError] = error_named) -> None:
    """Raise the error that a problem (RFC 9457) names.

    Args:
        named: makes the error from its name, its text and the seconds until a retry.
    """
    if response.status_code == httpx.codes.OK:
        return
    status = response.status_code
    try:
        found = json.loads(response.content)
        name, detail = str(found.get("error", "")), str(found["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RemoteFailed(f"the server answered {status} in a form that no feature server uses") from None
    of_status = {429: Throttled.__name__, 401: KeyRefused.__name__}
    raise named(name or of_status.get(status, ""), detail, retry_after(response.headers.get("retry-after")))
