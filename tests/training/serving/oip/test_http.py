"""`tritonclient.http`, unmodified, against `covey serve --models`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.training.serving.conftest import ModelServer

http = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed (extra: dev)")


@pytest.fixture(scope="module")
def client(model_server: ModelServer) -> Iterator[Any]:
    with http.InferenceServerClient(f"{model_server.host}:{model_server.port}", concurrency=2) as made:
        yield made


def keyed(dest: list[str], distance: list[float], binary: bool = True) -> list[Any]:
    made = []
    for name, values, datatype in (
        ("dest", np.array(dest, object), "BYTES"),
        ("distance", np.array(distance, np.float64), "FP64"),
    ):
        tensor = http.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        made.append(tensor)
    return made


def test_the_server_lives_and_is_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("late")
    assert client.is_model_ready("late", "1")
    assert not client.is_model_ready("late", "9")
    assert not client.is_model_ready("nothing")


@pytest.mark.parametrize("binary", [True, False])
def test_rows_by_key_are_predicted(client: Any, binary: bool) -> None:
    found = client.infer("late", keyed(["ATL", "LAX"], [100.0, 200.0], binary))
    assert found.as_numpy("prediction").shape == (2,)
    assert found.get_response()["model_version"] == "1"
