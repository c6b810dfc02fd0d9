from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from featurestore.publish.publish import Publisher
from featurestore.server.answer import Message, Receive, Send
from featurestore.server.listen import open_socket, url_of
from featurestore.server.throttle import Limits
from tests.featurestore.making import HOUR, fill

from .guarding import ROUTE, Guarded
from .odd_bodies import VIEW
from .test_metrics import LABELS, text_string_to_metric_families

HOST = (b"host", b"localhost")


@pytest.fixture
def server(tmp_path: Path) -> Guarded:
    fill(tmp_path, VIEW, 2)
    return Guarded(tmp_path)


def feast_error(response: httpx.Response) -> tuple[int, str, str]:
    """(status, class, message) as Feast's client reads them."""
    assert response.headers["content-type"] == "application/json"
    detail = json.loads(response.json())
    assert detail.pop("module") == "feast.errors"
    return response.status_code, detail["class"], detail["message"]


def counted(server: Guarded, key: str | None = None) -> dict[tuple[str, ...], float]:
    response = server.ask("GET", "/metrics", key)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *(sample.labels[label] for label in LABELS if label in sample.labels)): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


class TestKeys:
    def test_a_consumer_reads_with_his_key_in_either_header(self, server: Guarded) -> None:
        key = server.add("trainer")
        basic = {"Authorization": "Basic eDp5", "X-API-Key": key}
        for headers in (
            {"Authorization": f"Bearer {key}"},
            {"authorization": f"bearer  {key} "},
            {"X-API-Key": key},
            basic,
        ):
            response = server.read(headers=headers)
            assert response.status_code == 200, headers
            assert response.json()["results"][1]["values"] == [2.0]

    def test_without_a_key_feasts_route_refuses_as_feasts_client_raises_it(self, server: Guarded) -> None:
        response = server.read()
        assert feast_error(response)[:2] == (401, "FeastPermissionError")
        assert "Authorization: Bearer" in feast_error(response)[2]
        assert response.headers["www-authenticate"] == 'Bearer realm="covey"'

    @pytest.mark.parametrize("wrong", ["covey_00000000_" + "A" * 43, "x", "", "é", "\x00"])
    def test_a_wrong_key_is_refused_and_not_repeated(self, server: Guarded, wrong: str) -> None:
        server.add("trainer")
        response = server.read(headers={"X-API-Key": wrong.encode()})
        assert feast_error(response)[0] == 401
        assert "invalid_token" in response.headers["www-authenticate"]
        assert not wrong or wrong not in response.text

    def test_other_ways_to_log_in_are_none(self, server: Guarded) -> None:
        key = server.add("trainer")
        basic = base64.b64encode(f"trainer:{key}".encode()).decode()
        for odd in (f"Basic {basic}", key, "Bearer", f"Token {key}"):
            assert server.read(headers={"Authorization": odd}).status_code == 401
        assert server.ask("POST", f"{ROUTE}?key={key}").status_code == 401

    @pytest.mark.parametrize(
        "path", ["/metrics", "/docs", "/openapi.json", "/nothing", "/health/", "//health", "/Health"]
    )
    def test_every_other_route_but_health_needs_it_too_and_refuses_with_a_problem(
        self, server: Guarded, path: str
    ) -> None:
        key = server.add("trainer")
        response = server.ask("GET", path)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json() | {"detail": ""} == {"title": "Unauthorized", "status": 401, "detail": ""}
        assert server.ask("GET", path, key).status_code != 401
        assert server.ask("GET", "/health").status_code == 200

    def test_a_removed_key_is_refused_and_an_added_one_taken_without_a_restart(self, server: Guarded) -> None:
        key = server.add("trainer")
        assert server.read(key).status_code == 200
        server.consumers.remove("trainer")
        other = server.add("other")
        assert server.read(key).status_code == 401
        assert server.read(other).status_code == 200

    def test_a_refusal_comes_before_the_body_is_read(self, server: Guarded) -> None:
        sent: list[Any] = []

        async def receive() -> Any:
            pytest.fail("the body was read")

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "path": ROUTE, "method": "POST", "headers": [HOST]}
        asyncio.run(server.app(scope, receive, send))
        assert sent[0]["status"] == 401

    def test_without_keys_everybody_reads_and_a_key_is_ignored(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 2)
        server = Guarded(tmp_path, with_keys=False)
        assert server.read().status_code == 200
        assert server.read("wrong").status_code == 200


class TestThrottle:
    def test_over_the_limit_of_requests_is_429_and_says_when_to_come_again(self, server: Guarded) -> None:
        key, other = server.add("fast", Limits(requests=2)), server.add("other")
        assert [server.read(key).status_code for _ in range(3)] == [200, 200, 429]
        refusal = server.read(key)
        assert feast_error(refusal)[:2] == (429, "FeastError")
        assert refusal.headers["retry-after"] == "1"
        assert "fast" in feast_error(refusal)[2]
        problem = server.ask("GET", "/metrics", key)
        assert (problem.status_code, problem.headers["retry-after"]) == (429, "1")
        assert problem.headers["content-type"] == "application/problem+json"
        assert server.read(other).status_code == 200
        server.now += 1
        assert server.read(key).status_code == 200

    def test_rows_are_what_is_limited_and_each_is_charged_once(self, server: Guarded) -> None:
        key = server.add("rows", Limits(rows=100))
        assert [server.read(key, rows=10).status_code for _ in range(11)] == [200] * 10 + [429]
        server.now += 10
        assert server.read(key, rows=1_000).status_code == 200
        refusal = server.read(key)
        assert (refusal.status_code, refusal.headers["retry-after"]) == (429, "10")
        server.now += 10
        assert server.read(key).status_code == 200

    def test_a_body_that_is_refused_costs_a_request_and_no_rows(self, server: Guarded) -> None:
        key = server.add("odd", Limits(rows=1, requests=3))
        statuses = [server.ask("POST", ROUTE, key, content=b"{").status_code for _ in range(4)]
        assert statuses == [422, 422, 422, 429]

    def test_the_servers_limit_is_for_those_without_one(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 2)
        server = Guarded(tmp_path, default=Limits(requests=1))
        plain, own = server.add("plain"), server.add("own", Limits(requests=3))
        assert [server.read(plain).status_code for _ in range(2)] == [200, 429]
        assert [server.read(own).status_code for _ in range(4)] == [200, 200, 200, 429]

    def test_without_keys_all_readers_share_one_limit(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 2)
        server = Guarded(tmp_path, with_keys=False, default=Limits(requests=2))
        assert [server.read().status_code for _ in range(3)] == [200, 200, 429]
        assert server.ask("GET", "/health").status_code == 200

    def test_over_the_servers_limit_the_refusal_names_all_readers(self, tmp_path: Path) -> None:
        fill(tmp_path, VIEW, 2)
        server = Guarded(tmp_path, together=Limits(requests=2))
        one, other = server.add("one"), server.add("other")
        assert [server.read(key).status_code for key in (one, other)] == [200, 200]
        assert feast_error(server.read(other)) == (
            429,
            "FeastError",
            "all readers together: over the limit of rows or requests; retry in 1 s",
        )


class TestMetrics:
    def test_what_was_asked_is_counted_with_its_status(self, server: Guarded) -> None:
        key = server.add("trainer")
        for rows in (1, 10):
            server.read(key, rows=rows)
        server.read()
        server.ask("POST", ROUTE, key, content=b"{")
        server.ask("GET", "/health")
        server.ask("GET", "/nothing", key)
        found = counted(server, key)
        assert {key[1:]: value for key, value in found.items() if key[0] == "covey_requests_total"} == {
            (ROUTE, "200"): 2,
            (ROUTE, "401"): 1,
            (ROUTE, "422"): 1,
            ("/health", "200"): 1,
            ("other", "404"): 1,
        }
        assert found["covey_rows_total",] == 11
        assert found["covey_request_seconds_count", ROUTE] == 4
        assert counted(server, key)["covey_requests_total", "/metrics", "200"] == 1

    def test_epoch_and_staleness_are_those_of_what_is_served(self, server: Guarded) -> None:
        server.wall_us = 5 * HOUR
        key = server.add("trainer")
        found, health = counted(server, key), server.ask("GET", "/health").json()
        assert found["covey_epoch",] == health["epoch"] >= 1
        assert found["covey_view_age_seconds", "delays", "1", "pane_end"] == 3 * 3600
        assert found["covey_view_age_seconds", "delays", "1", "released_at"] == 2.5 * 3600

    def test_a_client_that_went_away_is_counted_as_such(self, server: Guarded) -> None:
        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            pytest.fail("an answer to nobody")

        key = server.add("trainer")
        scope = {"type": "http", "path": ROUTE, "method": "POST", "headers": [HOST, (b"x-api-key", key.encode())]}
        asyncio.run(server.app(scope, receive, send))
        assert counted(server, key)["covey_requests_total", ROUTE, "0"] == 1

    def test_they_take_get_only(self, server: Guarded) -> None:
        key = server.add("trainer")
        assert server.ask("HEAD", "/metrics", key).status_code == 200
        response = server.ask("POST", "/metrics", key)
        assert (response.status_code, response.headers["allow"]) == (405, "GET")
        assert response.headers["content-type"] == "application/problem+json"


class TestEmptyStore:
    def test_a_store_without_a_view_and_one_without_a_release_answer_in_feasts_form(self, tmp_path: Path) -> None:
        with Publisher(tmp_path, lambda: 0):
            pass
        server = Guarded(tmp_path, with_keys=False)
        assert feast_error(server.read())[:2] == (404, "FeatureViewNotFoundException")
        assert "none yet" in feast_error(server.read())[2]
        health = server.ask("GET", "/health").json()
        assert health["views"] == []
        assert counted(server)["covey_epoch",] == health["epoch"]
        with Publisher(tmp_path, lambda: 0) as publisher:
            publisher.register(VIEW)
        server = Guarded(tmp_path, with_keys=False)
        answer = server.read(rows=2).json()["results"][1]
        assert (answer["values"], answer["statuses"]) == ([None, None], ["NOT_FOUND"] * 2)
        assert not any(name == "covey_view_age_seconds" for name, *_ in counted(server))


class TestFeastClient:
    """Feast's own client sends a key as the token of its OIDC settings, and waits as long as Retry-After says."""

    @pytest.fixture
    @staticmethod
    def url(server: Guarded) -> Iterator[str]:
        """The server on a socket. When a refused client waits, the server's clock advances too."""

        async def app(scope: Message, receive: Receive, send: Send) -> None:
            async def watched(message: Message) -> None:
                waits = [int(value) for name, value in message.get("headers", []) if name == b"retry-after"]
                server.now += sum(waits)
                server.refusals.extend(waits)
                await send(message)

            await server.app(scope, receive, watched)

        running = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        with open_socket("127.0.0.1", 0) as listening:
            thread = threading.Thread(target=running.run, args=([listening],))
            thread.start()
            yield url_of(listening)
            running.should_exit = True
            thread.join()

    @pytest.fixture
    @staticmethod
    def read(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], Any]]:
        """A read by a client with this key."""
        monkeypatch.setenv("FEAST_USAGE", "False")
        from feast import FeatureStore, RepoConfig
        from feast.permissions.client.http_auth_requests_wrapper import HttpSessionManager

        def one(key: str | None) -> Any:
            config = RepoConfig(
                project="covey",
                provider="local",
                registry=str(tmp_path / "registry.db"),
                online_store={"type": "remote", "path": url},
                entity_key_serialization_version=3,
                auth={"type": "no_auth"} if key is None else {"type": "oidc", "token": key},
            )
            return FeatureStore(config=config).get_online_features(["delays:flights"], [{"dest": "ATL"}]).to_dict()

        yield one
        HttpSessionManager.close_session()

    def test_it_reads_with_its_key_and_raises_its_own_error_without(
        self, server: Guarded, read: Callable[[str | None], Any]
    ) -> None:
        from feast.errors import FeastPermissionError

        assert read(server.add("feast"))["flights"] == [2.0]
        for wrong in (None, "covey_00000000_" + "A" * 43):
            with pytest.raises(FeastPermissionError, match="API key"):
                read(wrong)

    def test_over_its_limit_it_waits_and_reads_on(self, server: Guarded, read: Callable[[str | None], Any]) -> None:
        key = server.add("slow", Limits(requests=1))
        assert [read(key)["flights"] for _ in range(2)] == [[2.0]] * 2
        assert server.refusals == [1]
