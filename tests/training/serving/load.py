"""Clients that ask a model without a pause, by each protocol, and keep every answer."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any, Final, Protocol

import grpc
import numpy as np

from tests.training.program import DESTS
from training.serving.oip import inference_pb2 as pb

from .conftest import ModelServer
from .known_models import DISTANCES

INFER: Final = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class Question:
    """Rows for which a client asks.

    Attributes:
        named: the version that it names; None: it names none.
    """

    dests: list[str]
    distances: list[int]
    named: int | None = None
    ident: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer: of which version and epoch; or, in `refused`, what else came.

    Attributes:
        protocol: by which it was asked.
    """

    protocol: str
    question: Question
    version: int = 0
    epoch: int = 0
    predictions: tuple[float, ...] = ()
    refused: str = ""


class Client(Protocol):
    """One connection to a server."""

    def ask(self, question: Question) -> Answer:
        """Ask once."""
        ...

    def close(self) -> None: ...


class PredictClient:
    """`POST /predict/NAME`."""

    def __init__(self, server: ModelServer, model: str) -> None:
        self._connection, self._model = HTTPConnection(server.host, server.port, timeout=60), model

    def ask(self, question: Question) -> Answer:
        named = "" if question.named is None else f"@v{question.named}"
        body = {"entities": {"dest": question.dests, "distance": question.distances}, "id": question.ident}
        status, text = _post(self._connection, f"/predict/{self._model}{named}", body)
        if status != 200:
            return Answer("predict", question, refused=f"{status} {text}")
        read = json.loads(text)
        return Answer("predict", question, read["version"], read["epoch"], tuple(read["predictions"]))

    def close(self) -> None:
        self._connection.close()


class InferClient:
    """The Open Inference Protocol over HTTP, in JSON."""

    def __init__(self, server: ModelServer, model: str) -> None:
        self._connection, self._model = HTTPConnection(server.host, server.port, timeout=60), model

    def ask(self, question: Question) -> Answer:
        shape = [len(question.dests)]
        inputs = [
            {"name": "dest", "shape": shape, "datatype": "BYTES", "data": question.dests},
            {"name": "distance", "shape": shape, "datatype": "FP64", "data": question.distances},
        ]
        named = "" if question.named is None else f"/versions/{question.named}"
        body = {"id": question.ident, "inputs": inputs}
        status, text = _post(self._connection, f"/v2/models/{self._model}{named}/infer", body)
        if status != 200:
            return Answer("infer", question, refused=f"{status} {text}")
        read = json.loads(text)
        (output,) = read["outputs"]
        version, epoch = int(read["model_version"]), read["parameters"]["epoch"]
        return Answer("infer", question, version, epoch, tuple(output["data"]))

    def close(self) -> None:
        self._connection.close()


class GrpcClient:
    """The Open Inference Protocol over gRPC."""

    def __init__(self, server: ModelServer, model: str) -> None:
        self._channel, self._model = grpc.insecure_channel(server.grpc), model
        self._infer = self._channel.unary_unary(
            INFER, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )

    def ask(self, question: Question) -> Answer:
        shape = [len(question.dests)]
        request = pb.ModelInferRequest(model_name=self._model, id=question.ident)
        if question.named is not None:
            request.model_version = str(question.named)
        dest = request.inputs.add(name="dest", datatype="BYTES", shape=shape)
        dest.contents.bytes_contents.extend(text.encode() for text in question.dests)
        distance = request.inputs.add(name="distance", datatype="FP64", shape=shape)
        distance.contents.fp64_contents.extend(question.distances)
        try:
            answer = self._infer(request, timeout=60)
        except grpc.RpcError as error:
            return Answer("grpc", question, refused=str(error))
        version, epoch = int(answer.model_version), answer.parameters["epoch"].int64_param
        return Answer("grpc", question, version, epoch, _floats(answer))

    def close(self) -> None:
        self._channel.close()


CLIENTS: Final[tuple[Callable[[ModelServer, str], Client], ...]] = (
    PredictClient,
    PredictClient,
    InferClient,
    GrpcClient,
)


@dataclass
class Load:
    """Clients that ask until they are stopped.

    Attributes:
        named: versions that questions may name.
    """

    server: ModelServer
    model: str
    named: tuple[int, ...] = ()
    answers: list[Answer] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask until the end of the block."""
        with ExitStack() as held:
            clients = [make(self.server, self.model) for make in CLIENTS]
            for client in clients:
                held.callback(client.close)
            threads = [threading.Thread(target=self._ask, args=one) for one in enumerate(clients)]
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self._stop.set()
                for thread in threads:
                    thread.join()

    def _ask(self, seed: int, client: Client) -> None:
        draw = random.Random(seed)
        try:
            while not self._stop.is_set():
                rows = draw.randint(1, 3)
                named = draw.choice(self.named) if self.named and draw.random() < 0.1 else None
                dests, distances = draw.choices(DESTS, k=rows), [draw.randrange(DISTANCES) for _ in range(rows)]
                self.answers.append(client.ask(Question(dests, distances, named, str(draw.random()))))
        except BaseException as error:  # noqa: BLE001 - the test reports it
            self.errors.append(error)


def _post(connection: HTTPConnection, path: str, body: dict[str, Any]) -> tuple[int, str]:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read().decode()


def _floats(answer: pb.ModelInferResponse) -> tuple[float, ...]:
    if answer.raw_output_contents:
        return tuple(np.frombuffer(answer.raw_output_contents[0], "<f4").tolist())
    return tuple(answer.outputs[0].contents.fp32_contents)
