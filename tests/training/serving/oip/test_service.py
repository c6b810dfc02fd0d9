from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest

from featurestore.server.guard import Gate
from featurestore.server.metrics import Counts
from featurestore.server.throttle import Limits, ServerLimits, Throttle
from training.serving.ask import Ask, Predicted
from training.serving.oip import inference_pb2 as pb
from training.serving.oip.served_models import ServedModels
from training.serving.oip.service import SERVICE, InferenceService


class OneModel:
    """Answers every question, and keeps it."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []

    def busy(self, _: str) -> None:
        """Never."""

    def served(self, _: str, __: int | None = None) -> Any:
        return SimpleNamespace(loaded=SimpleNamespace(inputs=SimpleNamespace(types={"seats": "int64"})))

    async def asked(self, ask: Ask) -> Predicted:
        self.asks.append(ask)
        return Predicted("late", 1, 3, np.zeros(ask.rows, np.float32))


@pytest.mark.parametrize(
    ("deadline_s", "parameter_us", "least_s", "most_s"),
    [(None, None, None, None), (60, None, 1, 60), (None, 2_000_000, 2, 2), (60, 2_000_000, 2, 2), (60, 10**9, 1, 60)],
)
def test_a_call_waits_as_long_as_its_deadline_or_its_parameter_says_whichever_is_shorter(
    deadline_s: float | None, parameter_us: int | None, least_s: float | None, most_s: float | None
) -> None:
    serving, counts = OneModel(), Counts()
    gate = Gate(None, Throttle(ServerLimits(Limits(), Limits()), 1), counts)
    request = pb.ModelInferRequest(model_name="late")
    request.inputs.add(name="seats", datatype="INT64", shape=[2]).contents.int64_contents.extend([1, 2])
    if parameter_us is not None:
        request.parameters["timeout"].int64_param = parameter_us

    async def call() -> pb.ModelInferResponse:
        server = grpc.aio.server()
        InferenceService(ServedModels(serving), gate).add_to(server)  # type: ignore[arg-type]
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                infer = channel.unary_unary(f"/{SERVICE}/ModelInfer", None, pb.ModelInferResponse.FromString)
                return await infer(request.SerializeToString(), timeout=deadline_s)
        finally:
            await server.stop(None)

    assert list(asyncio.run(call()).outputs[0].contents.fp32_contents) == [0, 0]
    (ask,) = serving.asks
    if least_s is None or most_s is None:
        assert ask.timeout_s is None
    else:
        assert ask.timeout_s is not None
        assert least_s <= ask.timeout_s <= most_s
