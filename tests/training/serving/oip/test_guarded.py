"""A server that needs keys and limits a model: refusals have the form that `tritonclient` reads, and probes need no key."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from featurestore.errors import KeyRefused
from featurestore.server.api_keys import Consumers
from featurestore.server.throttle import Limits
from tests.training.serving.conftest import ModelServer, serving_models
from training.errors import ModelBusy
from training.serving.client import ModelClient

from .clients import keyed

http = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed (extra: dev)")
triton = pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed (extra: dev)")
utils = pytest.importorskip("tritonclient.utils", reason="tritonclient is not installed (extra: dev)")


@pytest.fixture(scope="module")
def key(model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModelServer, str]]:
    """(a server, the key of a consumer). Its model `late` takes a row in 100 seconds, after the first request."""
    directory = Path(shutil.copytree(model_store, tmp_path_factory.mktemp("guarded") / "models"))
    made = Consumers(directory).add("app", Limits(), 0, os.urandom)
    (directory / "covey.toml").write_text("[serving.late]\nrate = 0.01\n")
    options = ("--models", "late", "--keys")
    with serving_models(directory, directory / "log", "late", options=options) as server:
        yield server, made


def refused(call: Any, *given: Any, **named: Any) -> tuple[str, str]:
    with pytest.raises(utils.InferenceServerException) as caught:
        call(*given, **named)
    return caught.value.status().removeprefix("StatusCode."), caught.value.message()


def test_probes_need_no_key_and_all_else_does(key: tuple[ModelServer, str]) -> None:
    server, secret = key
    with http.InferenceServerClient(f"{server.host}:{server.port}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        for call, given in (
            (client.infer, ("late", keyed(http))),
            (client.get_model_metadata, ("late",)),
            (client.get_model_repository_index, ()),
        ):
            status, text = refused(call, *given)
            assert (status, "needs an API key" in text) == ("401", True), text
        assert client.get_model_metadata("late", headers={"X-API-Key": secret})["name"] == "late"
    with triton.InferenceServerClient(server.grpc) as client:
        assert client.is_server_live(headers={"x-api-key": secret})
        assert refused(client.infer, "late", keyed(triton))[0] == "UNAUTHENTICATED"
        errors: list[Any] = []
        client.start_stream(callback=lambda result, error: errors.append(error))
        client.stop_stream()
        assert [one.status() for one in errors] == ["StatusCode.UNAUTHENTICATED"]


def test_a_model_with_too_many_requests_says_when_to_retry(key: tuple[ModelServer, str]) -> None:
    server, secret = key
    with http.InferenceServerClient(f"{server.host}:{server.port}") as client:
        assert len(client.infer("late", keyed(http), headers={"X-API-Key": secret}).as_numpy("prediction")) == 3
        status, text = refused(client.infer, "late", keyed(http), headers={"X-API-Key": secret})
        assert (status, "retry in" in text) == ("429", True), text
    url = f"{server.url}/v2/models/late/infer"
    found = httpx.post(url, headers={"X-API-Key": secret}, content=b"not even JSON", timeout=60)
    assert found.status_code == 429
    assert int(found.headers["retry-after"]) >= 100
    with triton.InferenceServerClient(server.grpc) as client:
        code, text = refused(client.infer, "late", keyed(triton), headers={"x-api-key": secret})
        assert (code, "retry in" in text) == ("RESOURCE_EXHAUSTED", True), text


def test_a_page_of_another_site_is_refused_in_the_protocols_form(key: tuple[ModelServer, str]) -> None:
    server, _ = key
    for path, method in (("/v2/models/late/infer", "POST"), ("/v2", "GET")):
        found = httpx.request(method, f"{server.url}{path}", headers={"Origin": "https://example.org"}, timeout=60)
        assert found.status_code == 403
        assert isinstance(found.json()["error"], str)


def test_the_servers_own_route_is_guarded_likewise(key: tuple[ModelServer, str]) -> None:
    server, secret = key
    keys = {"dest": ["ATL"], "distance": [1400.0]}
    with ModelClient.open(server.url) as client, pytest.raises(KeyRefused, match="needs an API key"):
        client.predict("late", keys)
    with ModelClient.open(server.url, key=secret) as client:
        with contextlib.suppress(ModelBusy):  # if another test has asked
            client.predict("late", keys)
        with pytest.raises(ModelBusy, match="retry in") as found:
            client.predict("late", keys)
    assert found.value.retry_after_s >= 10
    assert httpx.get(f"{server.url}/predict", timeout=60).status_code == 401
    refusal = httpx.post(f"{server.url}/predict/late", headers={"Origin": "https://example.org"}, timeout=60)
    assert (refusal.status_code, refusal.headers["content-type"]) == (403, "application/problem+json")
