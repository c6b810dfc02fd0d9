"""A client of a server of models: `covey.ModelClient`. It needs neither PyTorch nor the libraries of a server."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import numpy as np

import training.errors
from featurestore.define.decoded import Status
from featurestore.errors import BadReference, FeatureStoreError, OnlineUnavailable, RemoteFailed, Throttled, error_named
from featurestore.read.vectors import as_lists
from featurestore.remote.http_link import TIMEOUT, HttpLink, require_ok
from featurestore.remote.store import KEY_VARIABLE, MAX_WAIT_S, TRIES
from featurestore.remote.tls import ReaderTls
from training.errors import InputRefused, ModelBusy, ServingError

from .ask import Floats, Predicted, Used, UsedRelease

_GRACE_S: Final = 1.0
"""How much longer than the request's timeout the client waits for the answer, which may say that the time was too short."""
_STATUSES: Final = {status.name: int(status) for status in Status}
_T = TypeVar("_T")


class ModelClient:
    """Asks the models of a server, over HTTP. Open it with `ModelClient.open`; it is a context manager.

    Threads may share a client.
    """

    def __init__(
        self,
        link: HttpLink,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self._sleep, self._clock = link, sleep, clock

    @classmethod
    def open(cls, url: str, *, key: str | None = None, tls: ReaderTls | None = None) -> Self:
        """Open a client of `covey serve --models`. The server is not called yet.

        Args:
            url: `http://…` or `https://…`.
            key: an API key of the server; default: the environment variable COVEY_API_KEY.
            tls: the files of TLS with the server; default: those that COVEY_TLS_AUTHORITY and others name, see `ReaderTls`.

        Raises:
            RemoteFailed: the URL is invalid. TlsError: a file of `tls` cannot be used.
        """
        if not url.startswith(("http://", "https://")):
            raise RemoteFailed(f"{url[:200]!r}: a server of models has a URL with http or https")
        tls = ReaderTls.from_environment() if tls is None else tls
        return cls(HttpLink(url, key or os.environ.get(KEY_VARIABLE) or None, tls))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._link.client.close()

    def predict(
        self,
        model: str,
        keys: Mapping[str, Sequence[Any]] | None = None,
        *,
        explain: bool = False,
        interval: float | None = None,
        timeout: float | None = None,
        ident: str = "",
    ) -> Predicted:
        """Predict for some keys, from the newest epoch of the server's store.

        Args:
            model: `name`, or `name@v2` for one version.
            keys: a list of values for each join key, each input of an on-demand view and each plain column, all of one length;
                None and NaN are null.
            explain: whether the answer has the features that were used.
            interval: the level of an interval of each prediction, such as 0.9.
            timeout: how long to wait, in seconds, with all retries. A server that cannot answer in this time refuses at once.
            ident: draws the version, if several are in force: one id always gets the same version.

        Raises:
            UnknownModel. BadReference, InputRefused: an input does not fit. ModelBusy, Throttled: after some retries.
            DeadlineMissed. ModelNotReady, ModelFailed. RemoteFailed: the server is unreachable, or refuses the key.
        """
        entities, _ = as_lists(keys)
        body = _body({"entities": {name: _nullable(values) for name, values in entities.items()}, "id": ident})
        query = ({"explain": "true"} if explain else {}) | (
            {} if interval is None else {"interval": repr(float(interval))}
        )
        url, due = f"/predict/{quote(model, safe='@')}", None if timeout is None else self._clock() + timeout

        def send() -> Predicted:
            headers, limits = {"content-type": "application/json"}, TIMEOUT
            if due is not None:
                left = max(due - self._clock(), 1e-6)
                headers["timeout"] = f"{left:.6f}"
                limits = httpx.Timeout(left + _GRACE_S)
            with self._link.reached():
                response = self._link.client.post(url, params=query, content=body, headers=headers, timeout=limits)
            require_ok(response, _error_named)
            return _predicted(response.content)

        return self._patiently(send, due)

    def _patiently(self, send: Callable[[], _T], due: float | None) -> _T:
        """Ask, and retry if the server names a short wait for which there is time."""
        for _ in range(TRIES - 1):
            try:
                return send()
            except (ModelBusy, Throttled, OnlineUnavailable) as error:
                left = MAX_WAIT_S if due is None else min(MAX_WAIT_S, due - self._clock())
                if error.retry_after_s > left:
                    raise
                self._sleep(error.retry_after_s)
        return send()


def _nullable(values: Sequence[Any]) -> Sequence[Any]:
    """The values with None for NaN, which JSON does not have."""
    if float not in map(type, values):
        return values
    return [None if isinstance(one, float) and math.isnan(one) else one for one in values]


def _body(request: dict[str, Any]) -> bytes:
    try:
        return json.dumps(request, allow_nan=False).encode()
    except ValueError:
        raise InputRefused("a number is infinite; write a finite number, or None") from None
    except TypeError as error:
        raise BadReference(f"the keys must be texts, numbers, truth values or None ({error})") from None


def _error_named(name: str, message: str, retry_after_s: int) -> FeatureStoreError:
    """The error of a server of models with a name, or that of a feature server."""
    kind = getattr(training.errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, ServingError)):
        return error_named(name, message, retry_after_s)
    error = kind.__new__(kind)
    error.args = (message,)
    if isinstance(error, ModelBusy):
        error.retry_after_s = retry_after_s
    return error


def _predicted(body: bytes) -> Predicted:
    """The content of an answer. Raises RemoteFailed: it is none."""
    try:
        data = json.loads(body)
        values = _numbers(data["predictions"])
        interval = data.get("interval")
        ends = (
            None if interval is None else (_numbers(interval["lo"], values.size), _numbers(interval["hi"], values.size))
        )
        used = _used(data, values.size) if "features" in data else None
        model, version, epoch = str(data["model"]), int(data["version"]), int(data["epoch"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RemoteFailed(
            f"the server's answer is not that of a server of models ({type(error).__name__}: {error})"
        ) from None
    return Predicted(model, version, epoch, values.astype(np.float32), used, ends)


def _numbers(given: Any, count: int | None = None) -> Floats:
    """float64[N], NaN for null."""
    if not isinstance(given, list):
        raise TypeError("a list of numbers is missing")
    found = np.array(given, np.float64)
    if found.ndim != 1 or (count is not None and found.size != count):
        raise ValueError("a list has another length")
    return found


def _used(data: Mapping[str, Any], rows: int) -> Used:
    features: Mapping[str, Any] = data["features"]
    values, se = (
        np.array([_numbers(one[part], rows) for one in features.values()]).reshape(-1, rows).T
        for part in ("values", "se")
    )
    stored = [one["statuses"] for one in features.values() if set(one["statuses"]) <= _STATUSES.keys()]
    status = np.array([[_STATUSES[name] for name in names] for names in stored], np.uint8).reshape(-1, rows).T
    releases = tuple(
        UsedRelease(str(one["view"]), int(one["version"]), one["release"] or "", one["pane_end"])
        for one in data["releases"]
    )
    return Used(tuple(features), values, se, status, releases)
