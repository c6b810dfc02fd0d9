"""`POST /v2/models/NAME[/versions/N]/infer`: answered with its whole body, without a task for its request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from featurestore.define.entities import ColumnType
from featurestore.errors import BadRequest
from featurestore.server.answer import Answer, Promised
from featurestore.server.refusal import Refused
from featurestore.server.request import MAX_BODY
from featurestore.server.whole_routes import WholeRequest
from training.errors import ModelNotReady
from training.serving.ask import Predicted
from training.serving.batches.job import Outcome
from training.serving.serving import Serving

from .errors import failed
from .infer_json import parse_infer, render_infer
from .infer_request import InferRequest, version_of

URL: Final = re.compile(rb"/v2/models/([^/?]+)(?:/versions/([^/?]+))?/infer(?:\?.*)?")
NAME: Final = "/v2/infer"


class InferRoute:
    """The route of all models. It is a `WholeRoute` of the feature server."""

    name = NAME
    max_body = MAX_BODY

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def matches(self, url: bytes) -> bool:
        """Whether this route answers a POST."""
        return URL.fullmatch(url) is not None

    def turned_away(self, url: bytes) -> Answer | None:
        """The refusal of a request to a model that has too many; None: its body is read."""
        try:
            name, version = _target(url)
        except BadRequest as error:
            return failed(error)
        busy = self._serving.busy(name, version)
        return None if busy is None else failed(busy)

    def answer(self, request: WholeRequest, charge: Callable[[int], None]) -> Answer | Promised:
        """The answer to a request, or to its mistakes."""
        try:
            name, version = _target(request.url)
            if (busy := self._serving.busy(name, version)) is not None:  # before the body is parsed
                raise busy
            types = types_of(self._serving, name, version)
            parsed, timeout_s = parse_infer(request.headers, request.body)
            ask = parsed.ask(name, version, types, timeout_s)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer in the protocol's form, defects too
            return failed(error)
        charge(ask.rows)
        promised = Promised()

        def done(outcome: Outcome) -> None:
            promised.give(_answered(parsed, outcome))

        promised.withdrawn = self._serving.ask(ask, done).withdraw
        return promised

    def refusal(self, refused: Refused) -> Answer:
        """A refusal of the guard."""
        return failed(refused)


def _answered(request: InferRequest, outcome: Outcome) -> Answer:
    if not isinstance(outcome, Predicted):
        return failed(outcome)
    try:
        return render_infer(request, outcome)
    except Exception as error:  # noqa: BLE001 - the client gets an answer, whatever fails
        return failed(error)


def types_of(serving: Serving, name: str, version: int | None) -> Mapping[str, ColumnType]:
    """What a request by key gives to a version. Of a version that is not loaded yet, those of the one in force stand in.

    Without one, nothing is known: a tensor then gives what its own datatype says.

    Raises:
        UnknownModel. ModelNotReady: no version of the model is in force, and the request names none.
    """
    for one in (version, None):
        try:
            return serving.served(name, one).loaded.inputs.types
        except ModelNotReady:
            if version is None:
                raise
    return {}


def _target(url: bytes) -> tuple[str, int | None]:
    """(model, version) of a URL. Raises BadRequest: the version is no number."""
    found = URL.fullmatch(url)
    assert found is not None  # `matches` was asked
    name = unquote_to_bytes(found[1]).decode("utf-8", "replace")
    return name, version_of((found[2] or b"").decode("latin-1"))
