"""`tritonclient.http`, unmodified, against `covey serve --models`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.training.serving.conftest import ModelServer

from .clients import DEST, DISTANCE, keyed, outputs, raw_of, tensor

http = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed (extra: dev)")
utils = pytest.importorskip("tritonclient.utils", reason="tritonclient is not installed (extra: dev)")


@pytest.fixture(scope="module")
def client(model_server: ModelServer) -> Iterator[Any]:
    with http.InferenceServerClient(f"{model_server.host}:{model_server.port}", concurrency=2) as made:
        yield made


def refused(call: Any, *given: Any, **named: Any) -> tuple[str, str]:
    """(status, text) of the client's error."""
    with pytest.raises(utils.InferenceServerException) as caught:
        call(*given, **named)
    return caught.value.status(), caught.value.message()


def test_the_server_lives_and_its_models_are_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("late")
    assert client.is_model_ready("late", "1")
    assert not client.is_model_ready("late", "9")
    assert not client.is_model_ready("nothing")


def test_the_server_names_its_extensions(client: Any) -> None:
    found = client.get_server_metadata()
    assert found["name"] == "covey"
    assert {"binary_tensor_data", "parameters", "schedule_policy", "model_configuration"} <= set(found["extensions"])


@pytest.mark.parametrize("version", ["", "1"])
def test_metadata_name_the_inputs_and_outputs(client: Any, version: str) -> None:
    found = client.get_model_metadata("late", version)
    assert (found["name"], found["versions"], found["platform"]) == ("late", ["1"], "covey_exported")
    assert [(one["name"], one["datatype"], one["shape"]) for one in found["inputs"]] == [
        ("dest", "BYTES", [-1]),
        ("distance", "FP64", [-1]),
        ("x", "FP32", [-1, 3]),
        ("mask", "BOOL", [-1, 3]),
        ("se", "FP32", [-1, 3]),
    ]
    assert [one["name"] for one in found["outputs"]] == ["prediction", "lo", "hi", "features", "se", "status"]
    assert client.get_model_metadata("trees")["platform"] == "covey_monotone"


def test_a_configuration_says_how_batches_are_made(client: Any) -> None:
    found = client.get_model_config("late")
    assert found["max_batch_size"] == 64
    assert found["dynamic_batching"]["max_queue_delay_microseconds"] == 100
    assert found["version_policy"] == {"specific": {"versions": [1]}}
    assert json.loads(found["parameters"]["features"]["string_value"])[-1] == "distance"
    assert found["parameters"]["how"]["string_value"]


def test_the_index_has_each_version(client: Any) -> None:
    found = client.get_model_repository_index()
    assert found == [{"name": name, "version": "1", "state": "READY", "reason": ""} for name in ("late", "trees")]


@pytest.mark.parametrize("model", ["late", "trees"])
def test_rows_by_key_and_their_features_as_raw_tensors_give_the_same_predictions(client: Any, model: str) -> None:
    found = client.infer(model, keyed(http), outputs=outputs(http, "prediction", "features", "se", "status"))
    predictions = found.as_numpy("prediction")
    assert predictions.dtype == np.float32
    assert ((predictions > 0) & (predictions < 1)).all()
    values = found.as_numpy("features")
    assert values[:, -1].tolist() == DISTANCE
    assert [row[0] for row in found.as_numpy("status").tolist()] == [b"OK", b"OK", b"NOT_FOUND"]
    assert np.isnan(values[2, 0])
    again = client.infer(model, raw_of(http, found))
    assert again.as_numpy("prediction").tolist() == predictions.tolist()


def test_json_and_raw_bytes_give_the_same_predictions(client: Any) -> None:
    binary = client.infer("late", keyed(http), request_id="a")
    text = client.infer(
        "late", keyed(http, binary_data=False), outputs=[http.InferRequestedOutput("prediction", binary_data=False)]
    )
    assert "data" in text.get_output("prediction")
    assert "data" not in binary.get_output("prediction")
    assert text.as_numpy("prediction").tolist() == binary.as_numpy("prediction").tolist()
    assert binary.get_response()["id"] == "a"


def test_columns_of_shape_n_1_and_of_other_datatypes_are_taken(client: Any) -> None:
    plain = client.infer("late", keyed(http))
    inputs = [
        tensor(http, "dest", np.array(DEST, object)[:, None]),
        tensor(http, "distance", np.array(DISTANCE, np.int64)[:, None]),
    ]
    assert client.infer("late", inputs).as_numpy("prediction").tolist() == plain.as_numpy("prediction").tolist()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_are_read(client: Any, algorithm: str) -> None:
    found = client.infer(
        "late", keyed(http), request_compression_algorithm=algorithm, response_compression_algorithm=algorithm
    )
    assert found.as_numpy("prediction").tolist() == client.infer("late", keyed(http)).as_numpy("prediction").tolist()


def test_statistics_count_requests_rows_and_times(client: Any) -> None:
    def of_late() -> dict[str, Any]:
        (found,) = client.get_inference_statistics("late", "1")["model_stats"]
        return dict(found)

    before = of_late()
    client.infer("late", keyed(http))
    refused(client.infer, "late", keyed(http), timeout=1)
    after = of_late()
    assert after["inference_count"] - before["inference_count"] == 3
    assert after["execution_count"] - before["execution_count"] == 1
    for name, more in (("success", 1), ("fail", 1), ("compute_infer", 1)):
        assert after["inference_stats"][name]["count"] - before["inference_stats"][name]["count"] == more
    assert after["inference_stats"]["success"]["ns"] > before["inference_stats"]["success"]["ns"]
    assert after["last_inference"] > 1_700_000_000_000
    assert "late" in {one["name"] for one in client.get_inference_statistics()["model_stats"]}
    assert client.get_inference_statistics("late", "9")["model_stats"] == []
    assert refused(client.get_inference_statistics, "nothing")[0] == "404"


def test_an_answer_names_the_version_the_epoch_and_the_releases(client: Any) -> None:
    found = client.infer("late", keyed(http), model_version="1", parameters={"explain": True}).get_response()
    assert (found["model_name"], found["model_version"]) == ("late", "1")
    assert found["parameters"]["epoch"] >= 1
    views = {one["view"]: one for one in json.loads(found["parameters"]["releases"])}
    assert views["traffic"]["version"] == 1
    assert len(views["traffic"]["release"]) == 32


def test_the_client_of_asyncio_is_answered(model_server: ModelServer) -> None:
    aio = pytest.importorskip("tritonclient.http.aio", reason="tritonclient is not installed (extra: dev)")

    async def ask() -> Any:
        async with aio.InferenceServerClient(f"{model_server.host}:{model_server.port}") as made:
            return (await made.infer("late", keyed(http), request_id="5")).get_response()

    assert asyncio.run(ask())["id"] == "5"


def test_requests_run_at_the_same_time(client: Any) -> None:
    asked = [client.async_infer("late", keyed(http), request_id=str(number)) for number in range(8)]
    found = [one.get_result() for one in asked]
    assert [one.get_response()["id"] for one in found] == [str(number) for number in range(8)]
    first, *others = [one.as_numpy("prediction") for one in found]
    assert all(np.allclose(first, other, rtol=1e-6) for other in others), (
        "but for the last bit, which depends on the batch"
    )


def test_an_interval_has_the_prediction_between_its_ends(client: Any) -> None:
    found = client.infer("late", keyed(http), parameters={"interval": 0.9})
    lo, prediction, hi = (found.as_numpy(name) for name in ("lo", "prediction", "hi"))
    known = prediction[:2]
    assert (lo[:2] <= known + 1e-6).all()
    assert (known <= hi[:2] + 1e-6).all()
    assert lo.dtype == np.float64


def test_priority_and_timeout_are_taken(client: Any) -> None:
    found = client.infer("late", keyed(http), priority=3, timeout=10_000_000, headers={"Timeout": "10"})
    assert len(found.as_numpy("prediction")) == 3


def test_what_cannot_be_done_in_time_is_refused(client: Any) -> None:
    status, text = refused(client.infer, "late", keyed(http), timeout=1)
    assert status == "504"
    assert "its timeout is 0.001 ms" in text
    assert refused(client.infer, "late", keyed(http), headers={"Timeout": "1e-6"})[0] == "504"


@pytest.mark.parametrize(
    ("model", "version", "status", "text"),
    [
        ("nothing", "", "404", "no model 'nothing'"),
        ("late", "9", "404", "no model 'late@v9'"),
        ("late", "v1", "400", "the version 'v1' must be a whole number"),
    ],
)
def test_an_unknown_model_or_version_is_named(client: Any, model: str, version: str, status: str, text: str) -> None:
    for call, given in (
        (client.infer, (model, keyed(http), version)),
        (client.get_model_metadata, (model, version)),
        (client.get_model_config, (model, version)),
    ):
        found, why = refused(call, *given)
        assert (found, text in why) == (status, True), why


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (keyed(http)[:1], "needs 'distance'"),
        ([*keyed(http), tensor(http, "y", np.array([1.0, 2, 3]))], "'y' is no input"),
        ([*keyed(http)[:1], tensor(http, "distance", np.array([1.0]))], "must have one length"),
        ([tensor(http, "dest", np.array([1, 2, 3])), keyed(http)[1]], "input 'dest' must be BYTES, not INT64"),
        ([keyed(http)[0], tensor(http, "distance", np.array([1.0, 2, np.inf]))], "'distance' is infinite"),
        (keyed(http, [], []), "the request has no row"),
        ([tensor(http, "x", np.zeros((1, 4), np.float32))], "takes rows of 3 features"),
        ([tensor(http, "x", np.array([[np.inf, 0, 0]], np.float32))], "not finite"),
    ],
)
def test_inputs_that_do_not_fit_the_model_are_refused(client: Any, inputs: list[Any], text: str) -> None:
    status, why = refused(client.infer, "late", inputs)
    assert (status, text in why) == ("400", True), why


def test_too_many_rows_are_refused(client: Any) -> None:
    status, why = refused(client.infer, "late", keyed(http, ["ATL"] * 10_001, [1.0] * 10_001))
    assert (status, "at most 10,000" in why) == ("413", True), why


def test_what_is_not_supported_says_so(client: Any) -> None:
    status, why = refused(client.load_model, "late")
    assert (status, "covey models promote" in why) == ("501", True), why
    assert refused(client.unload_model, "late")[0] == "501"
    assert refused(client.get_log_settings)[0] == "404"
    assert refused(client.get_system_shared_memory_status)[0] == "404"
    status, why = refused(client.infer, "late", keyed(http), sequence_id=5)
    assert (status, "keep no state" in why) == ("400", True), why


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/", 200),
        ("GET", "/v2/models/late/infer", 405),
        ("PUT", "/v2/models/late", 405),
        ("DELETE", "/v2/models/late/infer", 405),
        ("POST", "/v2/models/late", 404),
        ("POST", "/v2/repository/models/late/load?x=1", 501),
        ("GET", "/v2/models/late/versions/0", 400),
        ("GET", "/v2/models/%FF%00/config", 404),
        ("POST", "/v2/models/%FF%00/infer", 404),
    ],
)
def test_every_answer_has_the_protocols_form(model_server: ModelServer, method: str, path: str, status: int) -> None:
    found = httpx.request(method, f"{model_server.url}{path}", timeout=60)
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "application/json"
    assert status == 200 or isinstance(found.json()["error"], str)


def test_a_body_that_is_too_large_is_not_read(model_server: ModelServer) -> None:
    for path, size in (("/v2/models/late/infer", 9 * 2**20), ("/v2/repository/index", 2**17)):
        found = httpx.post(f"{model_server.url}{path}", content=bytes(size), timeout=60)
        assert (found.status_code, "more than" in found.json()["error"]) == (413, True)
