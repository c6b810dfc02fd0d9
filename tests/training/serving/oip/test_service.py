from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import grpc
import numpy as np
import pytest

from featurestore.server.guard import Gate
from featurestore.server.metrics import Counts
from featurestore.server.throttle import NO_LIMITS, Limits, ServerLimits, Throttle
from training.errors import ModelNotReady
from training.serving.ask import Ask, Predicted
from training.serving.oip import inference_pb2 as pb
from training.serving.oip.infer_route import types_of
from training.serving.oip.served_models import ServedModels
from training.serving.oip.service import SERVICE, InferenceService

T = TypeVar("T")
ROUNDING_S = 1.0
"""gRPC rounds a deadline up on its way."""


class OneModel:
    """A model whose version 1 is in force, and whose version 2 is not loaded. It keeps what it is asked."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []

    def busy(self, _: str, __: int | None) -> None:
        """Never."""

    def served(self, name: str, version: int | None = None) -> Any:
        if version == 2:
            raise ModelNotReady(name, "it is not loaded")
        return SimpleNamespace(loaded=SimpleNamespace(inputs=SimpleNamespace(types={"seats": "int64"})))

    async def asked(self, ask: Ask) -> Predicted:
        self.asks.append(ask)
        return Predicted("late", 1, 3, np.zeros(ask.rows, np.float32))


def request(timeout_us: int | None = None, version: str = "") -> bytes:
    made = pb.ModelInferRequest(model_name="late", model_version=version)
    made.inputs.add(name="seats", datatype="INT32", shape=[2]).contents.int_contents.extend([1, 2])
    if timeout_us is not None:
        made.parameters["timeout"].int64_param = timeout_us
    return made.SerializeToString()


def served(serving: OneModel, call: Callable[[grpc.aio.Channel], Awaitable[T]], limits: Limits = NO_LIMITS) -> T:
    """What a client gets of a service that asks this model."""
    gate = Gate(None, Throttle(ServerLimits(limits), 1, lambda: 0.0), Counts())

    async def run() -> T:
        server = grpc.aio.server()
        InferenceService(ServedModels(serving), gate).add_to(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await call(channel)
        finally:
            await server.stop(None)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("deadline_s", "parameter_us", "least_s", "most_s"),
    [(60, None, 1, 60), (None, 2_000_000, 2, 2), (60, 2_000_000, 2, 2), (60, 10**9, 1, 60)],
)
def test_a_call_waits_as_long_as_its_deadline_or_its_parameter_says_whichever_is_shorter(
    deadline_s: float | None, parameter_us: int | None, least_s: float, most_s: float
) -> None:
    async def call(channel: grpc.aio.Channel) -> pb.ModelInferResponse:
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer", None, pb.ModelInferResponse.FromString)
        found: pb.ModelInferResponse = await infer(request(parameter_us), timeout=deadline_s)
        return found

    serving = OneModel()
    assert list(served(serving, call).outputs[0].contents.fp32_contents) == [0, 0]
    (ask,) = serving.asks
    assert ask.timeout_s is not None
    assert least_s <= ask.timeout_s <= most_s + ROUNDING_S


def test_without_either_the_models_settings_say_it() -> None:
    async def call(channel: grpc.aio.Channel) -> Any:
        return await channel.unary_unary(f"/{SERVICE}/ModelInfer")(request())

    serving = OneModel()
    served(serving, call)
    assert serving.asks[0].timeout_s is None


def test_each_request_of_a_stream_counts_for_the_limits_of_its_client() -> None:
    async def call(channel: grpc.aio.Channel) -> list[str]:
        stream = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer", None, pb.ModelStreamInferResponse.FromString)
        return [one.error_message async for one in stream(iter([request()] * 6))]

    serving = OneModel()
    answers = served(serving, call, Limits(requests=4))
    assert len(answers) == 6
    assert answers[:3] == [""] * 3
    assert all("over the limit" in text for text in answers[3:])
    assert len(serving.asks) == 3


def test_a_version_that_is_not_loaded_is_asked_with_the_datatypes_of_the_one_in_force() -> None:
    serving: Any = OneModel()
    assert types_of(serving, "late", 2) == {"seats": "int64"}

    async def call(channel: grpc.aio.Channel) -> Any:
        return await channel.unary_unary(f"/{SERVICE}/ModelInfer")(request(version="2"))

    served(serving, call)
    assert (serving.asks[0].version, serving.asks[0].given.entities) == (2, {"seats": [1, 2]})


def test_without_a_version_in_force_a_named_one_is_asked_with_the_datatypes_of_the_request() -> None:
    class NotInForce(OneModel):
        def served(self, name: str, version: int | None = None) -> Any:
            raise ModelNotReady(name, "it is being loaded")

    serving: Any = NotInForce()
    assert types_of(serving, "late", 2) == {}
    with pytest.raises(ModelNotReady):
        types_of(serving, "late", None)
