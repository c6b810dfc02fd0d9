"""`POST /predict/NAME`, and `GET /predict`, which lists the models with their inputs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import FastAPI, HTTPException, Path

from featurestore.define.entities import ColumnType
from featurestore.errors import FeatureStoreError, NotFoundError
from featurestore.server.answer import Answer, Promised
from featurestore.server.errors import DEFECT
from featurestore.server.guard import Gate
from featurestore.server.problems import problem
from featurestore.server.refusal import MEDIA_TYPE, Refused
from featurestore.server.request import MAX_BODY
from featurestore.server.whole_routes import WholeRequest, WholeRoute
from featurestore.store import Store
from training.errors import ModelNotReady
from training.lineage import name_of, stored_refs
from training.serving.ask import Predicted
from training.serving.batches.job import Outcome
from training.serving.refusal_status import refusal_of
from training.serving.serving import Serving
from training.serving.signature import ModelSignature

from .bodies import PREFIX, parse_predict, parse_target, render
from .openapi import LISTED, PREDICT, PREDICTED

LIST: Final = "/predict"
_PROBLEM: Final = MEDIA_TYPE.encode()
_EXAMPLES: Final[Mapping[ColumnType, Any]] = {"string": "", "int64": 1, "bool": True, "float64": 1.0}

_log = logging.getLogger("covey.server")


class PredictFront:
    """Covey's own protocol of predictions. It is a `Front` of the server."""

    def __init__(self, serving: Serving, store: Store) -> None:
        self._serving, self._store, self._route = serving, store, PredictRoute(serving)
        self._keys: dict[str, Mapping[str, Any]] = {}
        """Join keys of examples, by version of a model."""

    def find(self, url: bytes) -> WholeRoute | None:
        """The route of `/predict/NAME`."""
        return self._route if url.startswith(PREFIX) else None

    def add_routes(self, app: FastAPI) -> None:
        """Add the list of models, and describe `/predict/NAME`."""

        @app.get(LIST, summary="The models that answer, with their inputs", response_model=None, responses=LISTED)
        async def models() -> dict[str, Any]:
            return {"models": [await self._listed(state.name) for state in self._serving.models()]}

        @app.post(
            f"{LIST}/{{model}}",
            summary="Predictions for some keys",
            response_model=None,
            responses=PREDICTED,
            openapi_extra=PREDICT,
        )
        async def predict(model: Annotated[str, Path(description="`name`, or `name@v2` for one version.")]) -> None:
            """The server reads the features of the keys, and runs the model on them."""
            raise HTTPException(HTTPStatus.NOT_FOUND)  # `find` answers POSTs: this describes them, for other methods

    def openapi_paths(self) -> Mapping[str, Any]:
        """Nothing: FastAPI knows both paths."""
        return {}

    def is_probe(self, path: str) -> bool:
        """No path of this protocol is one of a probe."""
        return False

    def refusal(self, path: str, refused: Refused) -> Answer | None:
        """The server's own form, a problem."""
        return None

    def add_services(self, server: Any, gate: Gate) -> None:
        """Add nothing: calls of gRPC are those of the Open Inference Protocol."""

    async def _listed(self, name: str) -> dict[str, Any]:
        try:
            served = self._serving.served(name)
        except (ModelNotReady, NotFoundError) as error:
            return {"model": name, "ready": False, "why": str(error)}
        inputs = served.loaded.inputs.types
        keys = self._keys.get(str(served.model))
        if keys is None:  # a view's definition has all of its keys, so reading it takes a while
            keys = await asyncio.to_thread(_first_keys, self._store, served.signature)
            self._keys[str(served.model)] = keys
        example = {name: [keys.get(name, _EXAMPLES[kind])] for name, kind in inputs.items()}
        return {
            "model": name,
            "ready": True,
            "version": served.model.version,
            "inputs": dict(inputs),
            "features": list(served.signature.names),
            "url": f"{LIST}/{name}",
            "example": {"entities": example},
        }


def _first_keys(store: Store, signature: ModelSignature) -> dict[str, Any]:
    """A key of each entity that the features read."""
    keys: dict[str, Any] = {}
    for name in sorted({name_of(ref) for ref in stored_refs(store, signature.features)}):
        entity = store.view(name).entity
        keys |= dict(zip(entity.keys, entity.domain[0], strict=True))
    return keys


class PredictRoute:
    """`POST /predict/NAME`. See `featurestore.server.whole_routes.WholeRoute`."""

    name: Final = LIST
    max_body: Final = MAX_BODY

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def turned_away(self, url: bytes) -> Answer | None:
        """The answer to a request to a model that is too busy."""
        try:
            target = parse_target(url)
            busy = self._serving.busy(target.model, target.version)
        except FeatureStoreError as error:
            return _failed(error)
        return None if busy is None else _failed(busy)

    def answer(self, request: WholeRequest, charge: Callable[[int], None]) -> Answer | Promised:
        """The answer to a request. `charge` receives the number of rows."""
        try:
            target = parse_target(request.url)
            busy = self._serving.busy(target.model, target.version)
            if busy is not None:
                return _failed(busy)
            ask = parse_predict(target, request.headers, request.body)
        except FeatureStoreError as error:
            return _failed(error)
        charge(ask.rows)
        promised = Promised()

        def done(outcome: Outcome) -> None:
            promised.give(_answered(outcome, target.level))

        promised.withdrawn = self._serving.ask(ask, done).withdraw
        return promised

    def refusal(self, refused: Refused) -> Answer:
        """A refusal of the guard as a problem."""
        return Answer(refused.status, problem(refused.status, refused.detail), _PROBLEM, refused.headers)


def _answered(outcome: Outcome, level: float | None) -> Answer:
    if not isinstance(outcome, Predicted):
        return _failed(outcome)
    try:
        return Answer(200, render(outcome, level))
    except Exception as error:  # noqa: BLE001 - the client gets an answer, whatever fails
        return _failed(error)


def _failed(error: Exception) -> Answer:
    refusal = refusal_of(error)
    if refusal.status == DEFECT:
        _log.error("a prediction failed", exc_info=error)
    named = type(error).__name__ if isinstance(error, FeatureStoreError) else None
    body = problem(refusal.status, refusal.text, named)
    return Answer(refusal.status, body, _PROBLEM, refusal.headers, refusal.pause_s)
