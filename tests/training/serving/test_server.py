"""`covey serve --models`: a real server."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.waiting import wait_until

from .conftest import ModelServer, serving_models


def test_it_serves_features_beside_its_models(model_server: ModelServer) -> None:
    assert httpx.get(f"{model_server.url}/readyz", timeout=60).json() == {"ready": True, "role": "server"}
    body = {"features": ["traffic:flights"], "entities": {"dest": ["ATL"]}}
    assert httpx.post(f"{model_server.url}/get-online-features", json=body, timeout=60).status_code == 200


def test_the_command_prints_what_its_models_have_done(
    covey: Callable[..., tuple[int, str, str]], model_server: ModelServer
) -> None:
    body = {"entities": {"dest": ["ATL", "LAX"], "distance": [500, 900]}}
    assert httpx.post(f"{model_server.url}/predict/late", json=body, timeout=60).status_code == 200
    code, out, err = covey("serve", "--stats", model_server.url, "--json")
    assert code == 0, err
    late = next(one for one in json.loads(out) if one["model"] == "late")
    assert late["requests"] >= 1
    assert late["rows"] >= 2
    assert late["infer_ms"] > 0
    code, out, _ = covey("serve", "--stats", model_server.url)
    assert code == 0
    assert "late@v1" in out
    assert "rows/batch" in out


def test_the_statistics_of_a_server_without_models_are_refused(
    covey: Callable[..., tuple[int, str, str]], model_store: Path
) -> None:
    code, _, err = covey("serve", "--stats", "ftp://127.0.0.1")
    assert code == 1
    assert "a server of models has a URL with http or https" in err


@pytest.mark.parametrize(
    ("options", "exit_code", "says"),
    [
        (["--trust"], 2, "--trust goes with --models"),
        (["--device", "cuda"], 2, "--device goes with --models"),
        (["--no-compile"], 2, "--no-compile goes with --models"),
        (["--json"], 2, "--json goes with --stats"),
        (["--models", "late,lat"], 5, "no model 'lat' in this store; it has: late@v1, trees@v1"),
    ],
)
def test_a_mistake_about_models_is_one_line_before_anything_is_served(
    covey: Callable[..., tuple[int, str, str]], model_store: Path, options: list[str], exit_code: int, says: str
) -> None:
    code, _, err = covey("serve", "--store", model_store, "--port", "0", *options)
    assert code == exit_code
    (line,) = err.strip().splitlines()
    assert says in line


@pytest.fixture(scope="module")
def limited(model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """A server with two workers, each of which answers ten rows a second of `trees`."""
    directory = Path(shutil.copytree(model_store, tmp_path_factory.mktemp("limited") / "models"))
    (directory / "covey.toml").write_text("[serving.trees]\nrate = 10\n[serving.tree]\nrate = 5\n")
    log = tmp_path_factory.mktemp("log") / "log"
    with serving_models(directory, log, options=("--models", "late,trees", "--workers", "2")) as server:
        wait_until(lambda: server.log.read_text().count("@v1 is ready") == 4)
        yield server


BODY = {"entities": {"dest": ["ATL"], "distance": [500]}}


def test_settings_of_a_model_that_is_not_served_are_named(limited: ModelServer) -> None:
    assert "covey.toml: [serving.tree]: no model 'tree' is served" in limited.log.read_text()


def test_workers_count_together_and_any_of_them_answers_for_all(limited: ModelServer) -> None:
    before = counted(limited, "late")["ok"]
    for _ in range(20):  # each over a connection of its own, which either worker accepts
        assert httpx.post(f"{limited.url}/predict/late", json=BODY, timeout=60).status_code == 200
    assert [counted(limited, "late")["ok"] for _ in range(10)] == [before + 20] * 10


def test_a_flooded_model_is_refused_while_another_one_answers(limited: ModelServer) -> None:
    stop, refused, odd = threading.Event(), list[httpx.Response](), list[httpx.Response]()

    def flood() -> None:
        with httpx.Client(base_url=limited.url, timeout=60) as client:
            while not stop.is_set():
                answer = client.post("/predict/trees", json=BODY)
                {200: list[httpx.Response](), 429: refused}.get(answer.status_code, odd).append(answer)

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(refused) >= 50)
        for path in ("/predict/late", "/v2/models/late/ready", "/readyz"):
            for _ in range(10):
                send = httpx.post if path.startswith("/predict") else httpx.get
                answer = send(f"{limited.url}{path}", **({"json": BODY} if send is httpx.post else {}))
                assert answer.status_code == 200, answer.text
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert odd == []
    assert all(one.headers["retry-after"] == "1" for one in refused)
    assert "its rate of 10 rows/s is reached" in refused[0].json()["detail"]
    assert counted(limited, "trees")["busy"] == len(refused)
    assert counted(limited, "late")["busy"] == 0


def counted(server: ModelServer, model: str) -> dict[str, float]:
    """The requests of a model by outcome."""
    text = httpx.get(f"{server.url}/metrics", timeout=60).text
    pattern = rf'^covey_model_requests_total\{{model="{model}",outcome="(\w+)",version="1"\}} (\S+)$'
    return {outcome: float(count) for outcome, count in re.findall(pattern, text, flags=re.M)}
