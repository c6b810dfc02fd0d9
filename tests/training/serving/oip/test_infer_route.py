from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest

from featurestore.server.answer import Answer, Promised
from featurestore.server.whole_routes import WholeRequest
from training.serving.ask import Ask, Predicted
from training.serving.batches.job import Done
from training.serving.oip.infer_route import InferRoute

BODY = orjson.dumps({"inputs": [{"name": "seats", "shape": [2], "datatype": "INT64", "data": [1, 2]}]})


class OneModel:
    """Keeps the requests that it is asked, whose outcomes a test gives."""

    def __init__(self) -> None:
        self.waiting: list[Done] = []

    def busy(self, _: str, __: int | None) -> None:
        """Never."""

    def served(self, name: str, version: int | None = None) -> Any:
        return SimpleNamespace(loaded=SimpleNamespace(inputs=SimpleNamespace(types={"seats": "int64"})))

    def ask(self, _: Ask, done: Done) -> Any:
        self.waiting.append(done)
        return SimpleNamespace(withdraw=lambda: None)


def test_an_answer_that_cannot_be_made_is_an_error_of_its_request_alone(caplog: pytest.LogCaptureFixture) -> None:
    serving: Any = OneModel()
    promised = InferRoute(serving).answer(WholeRequest(b"/v2/models/late/infer", [], BODY), lambda _: None)
    answers: list[Answer | None] = []
    assert isinstance(promised, Promised)
    promised.then(answers.append)
    (done,) = serving.waiting
    done(Predicted("late", 1, 3, np.zeros((2, 2), np.float32)[:, 0]))  # orjson takes no array with gaps
    (answer,) = answers
    assert answer is not None
    assert answer.status == 500
    assert list(orjson.loads(answer.body)) == ["error"]
    assert "a request failed" in caplog.text
