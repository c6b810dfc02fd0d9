"""The gate of the console: what a request needs before a route sees it, and what every answer carries."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, Field

from covey.console import extension, gate, slots
from covey.console.assets import AssetFiles
from covey.console.commands import command
from covey.console.console import Console
from covey.console.gate import HEADER
from covey.console.roles import Author, Operator, Reader, role_of
from covey.console.sessions import Sessions
from covey.errors import require_confirmed
from featurestore.server.answer import Message, Receive, Send
from featurestore.server.roles import Role
from featurestore.server.throttle import ServerLimits, Throttle

from .asking import API, Api, console_of


class Body(BaseModel):
    text: Annotated[str, Field(max_length=100)] = ""
    confirmed: bool = False


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_of(tmp_path) as made:
        yield made


@pytest.fixture
def api(console: Console, monkeypatch: pytest.MonkeyPatch) -> Api:
    """A console whose only place has a route of every kind."""
    router = APIRouter(prefix="/place")

    @router.get("")
    def look() -> dict[str, str]:
        return {"seen": "all"}

    @router.get("/defect")
    def defect() -> None:
        raise ZeroDivisionError("a secret value")

    @router.get("/lost")
    def lost() -> None:
        raise PermissionError(13, "Permission denied", "/a/secret/path")

    @router.post("/parse")
    def parse(_: Body, user: Reader) -> dict[str, str]:
        return {"for": user.name}

    @router.post("/write")
    def write(body: Body, user: Author) -> dict[str, str]:
        return {"by": user.name, "command": command("covey", "apply", body.text)}

    @router.post("/spend")
    def spend(body: Body, user: Operator) -> dict[str, str]:
        require_confirmed(body.confirmed, "A collection")
        return {"by": user.name}

    monkeypatch.setattr(extension, "routers_of", lambda _: (router,))
    return Api(console)


def test_without_a_session_every_route_of_the_api_is_refused(api: Api) -> None:
    api.client.cookies.clear()
    for method, path in (("GET", "/about"), ("GET", "/place"), ("POST", "/place/write"), ("GET", "/no-such-route")):
        status, problem = api.ask(method, path)
        assert (status, problem["code"]) == (401, "SESSION_MISSING")


@pytest.mark.parametrize(
    "cookie", ["", "x", "covey_console=", "covey_console=guess", 'covey_console="; a=b', "é=1", ";" * 9_000]
)
def test_an_odd_cookie_is_no_session(api: Api, cookie: str) -> None:
    api.client.cookies.clear()
    status, problem = api.ask("GET", "/about", headers={"cookie": cookie.encode()})
    assert (status, problem["code"]) == (401, "SESSION_MISSING")


@pytest.mark.parametrize("other", ['prefs={"a": [1]}', "not a cookie", "é=1", "path=1", "x=" + "y" * 9_000])
def test_a_cookie_of_another_server_of_the_host_hides_none(api: Api, other: str) -> None:
    own = f"covey_console={api.client.cookies['covey_console']}"
    api.client.cookies.clear()
    assert api.ask("GET", "/about", headers={"cookie": f"{other}; {own}".encode()})[0] == 200


def test_what_may_change_something_needs_the_token_of_the_page(api: Api) -> None:
    del api.client.headers[HEADER]
    assert api.ask("GET", "/place")[0] == 200
    for given in ({}, {HEADER: "guess"}):
        status, problem = api.ask("POST", "/place/write", json={}, headers=given)
        assert (status, problem["code"]) == (403, "PAGE_TOKEN_MISSING")


def test_a_reader_changes_nothing(console: Console, api: Api) -> None:
    reader = Api(console, "reader")
    assert reader.ask("GET", "/place")[0] == 200
    for path in ("/place/write", "/place/spend"):
        status, problem = reader.ask("POST", path, json={"confirmed": True})
        assert (status, problem["code"]) == (403, "ROLE_TOO_SMALL")


def test_what_spends_needs_a_confirmation(api: Api) -> None:
    status, problem = api.ask("POST", "/place/spend", json={})
    assert (status, problem["code"]) == (409, "NOT_CONFIRMED")
    assert api.post("/place/spend", {"confirmed": True}) == {"by": "operator"}


def test_a_body_beyond_the_limit_is_not_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_BODY", 1_000)
    large = b'{"text": "' + b"x" * 1_000 + b'"}'
    status, problem = api.ask("POST", "/place/write", content=large)
    assert (status, problem["code"]) == (413, "BODY_TOO_LARGE")
    in_parts = (large[at : at + 100] for at in range(0, len(large), 100))  # without a length
    status, problem = api.ask("POST", "/place/write", content=in_parts, headers={"content-type": "application/json"})
    assert (status, problem["code"]) == (413, "BODY_TOO_LARGE")


def test_only_the_texts_of_the_composer_may_be_large(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_BODY", 100)
    monkeypatch.setattr(gate, "MAX_TEXTS", 200)
    for size, refused in ((50, (405, 405)), (150, (413, 405)), (250, (413, 413))):
        found = [api.ask("POST", f"/{place}/none", content=b" " * size)[0] for place in ("features", "composer")]
        assert tuple(found) == refused


def test_the_route_that_opens_sessions_reads_no_large_body_either(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_CREDENTIALS", 1_000)
    assert api.ask("POST", "/session", json={"token": "x" * 1_000})[0] == 413
    assert api.ask("POST", "/place/write", json={"text": "x" * 50, "more": "x" * 1_000})[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"[]", b'{"token": 7}', b'{"other": 1}', b'{"token": "%s"}' % (b"x" * 201), b"\xff", b"[" * 4_000],
)
def test_odd_credentials_are_a_problem(api: Api, body: bytes) -> None:
    status, problem = api.ask("POST", "/session", content=body, headers={"content-type": "application/json"})
    assert status in (400, 422)
    assert problem["code"] in ("REQUEST_INVALID", "HTTP_400")


def test_credentials_are_json_and_no_form_of_another_page(api: Api) -> None:
    assert api.ask("POST", "/session", content=b'{"token": "x"}', headers={"content-type": "text/plain"})[0] == 422


def test_a_page_that_is_loaded_again_keeps_its_session(api: Api) -> None:
    again = api.post("/session", {})
    assert (again["role"], again["csrf"]) == ("operator", api.client.headers[HEADER])


def test_the_cookie_is_for_this_server_alone_and_no_script_reads_it(api: Api) -> None:
    api.client.cookies.clear()
    cookie = api.client.post(f"{API}/session", json={}).headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/console"))
    assert "secure" not in cookie
    assert "domain" not in cookie


@pytest.mark.parametrize("path", ["/none%0A", "/%0Anone", "/place%0A/write", "/%0A"])
def test_a_path_with_a_line_feed_is_refused_by_the_console_itself(api: Api, path: str) -> None:
    status, problem = api.ask("GET", path)
    assert status == 404
    assert problem["code"] in ("HTTP_404", "PAGE_NOT_FOUND")
    api.client.cookies.clear()
    assert api.ask("GET", path)[1]["code"] == "SESSION_MISSING"


@pytest.mark.parametrize("path", ["/console/", f"{API}/about", f"{API}/none", "/console/none", f"{API}/place/defect"])
def test_every_answer_carries_the_policy_of_the_page(api: Api, path: str) -> None:
    headers = api.client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_a_defect_is_a_problem_without_its_text(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    status, problem = api.ask("GET", "/place/defect")
    assert (status, problem["code"]) == (500, "DEFECT")
    assert "secret" not in str(problem)
    assert "ZeroDivisionError" in caplog.text


def test_a_file_that_cannot_be_read_is_a_problem_with_its_mend(api: Api) -> None:
    status, problem = api.ask("GET", "/place/lost")
    assert (status, problem["code"]) == (500, "STORE_UNREADABLE")
    assert "covey store verify" in problem["mend"]
    assert "/a/secret" not in str(problem)


def test_every_change_is_logged_with_its_user_and_command(
    console: Console, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Api(console, "reader")
    key = "covey_0123abcd_" + "A" * 43
    with caplog.at_level(logging.INFO, "covey.console"):
        api.ask("GET", "/place")
        api.post("/place/parse", {})
        assert caplog.messages == []
        api.post("/place/write", {"text": f"key {key}"})
        api.ask("POST", "/place/spend", json={})
        reader.ask("POST", "/place/write", json={})
    written, refused, forbidden = caplog.messages
    assert forbidden == "reader (reader): POST /console/api/place/write answered 403"
    assert written == "operator (operator): POST /console/api/place/write answered 200; covey apply 'key …'"
    assert refused == "operator (operator): POST /console/api/place/spend answered 409"
    assert key not in caplog.text


def test_who_opens_a_session_that_may_change_something_is_logged_and_wrong_credentials_without_their_text(
    console: Console, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "covey.console"):
        Api(console, "reader")
        assert caplog.messages == []
        Api(console)
        api.post("/session", {})  # a page that is loaded again
        assert api.ask("POST", "/session", json={"token": "not-the-token"})[0] == 401
    assert caplog.messages == [
        "operator (operator): opened a session from testclient",
        "refused a session to testclient: wrong token",
    ]


@pytest.mark.usefixtures("api")  # it has the place
def test_a_change_that_gets_no_slot_is_logged(
    console: Console, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("MOST", "WAITING"):
        monkeypatch.setattr(slots, name, 0)
    busy = Api(console)
    with caplog.at_level(logging.INFO, "covey.console"):
        for path in ("write", "parse"):
            status, problem = busy.ask("POST", f"/place/{path}", json={})
            assert (status, problem["code"]) == (503, "CONSOLE_BUSY")
    assert caplog.messages == ["operator (operator): POST /console/api/place/write answered 503"]


def test_a_request_without_the_token_of_the_page_is_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "covey.console"):
        api.ask("POST", "/place/write", json={}, headers={HEADER: "guess"})
    assert caplog.messages == ["operator (operator): POST /console/api/place/write answered 403; no page token"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_reaches_no_route_of_the_api(api: Api, site: str) -> None:
    for method, path in (("GET", "/about"), ("GET", "/place"), ("POST", "/session"), ("POST", "/place/write")):
        body = None if method == "GET" else {}
        status, problem = api.ask(method, path, json=body, headers={"Sec-Fetch-Site": site})
        assert (status, problem["code"]) == (403, "REQUEST_FROM_ANOTHER_SITE")
    assert api.client.get("/console/", headers={"Sec-Fetch-Site": site}).status_code != 403  # a link to the page


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_own_page_and_a_typed_address_reach_the_api(api: Api, site: str) -> None:
    assert api.ask("GET", "/about", headers={"Sec-Fetch-Site": site})[0] == 200


def test_a_change_is_one_line_of_the_log_whatever_its_texts_are(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "covey.console"):
        api.post("/place/write", {"text": "a\nb\x1b[2J"})
    assert caplog.messages == ["operator (operator): POST /console/api/place/write answered 200; covey apply 'a�b�[2J'"]


@pytest.mark.parametrize("secret", ["covey_0123abcd_S-e_cret", "token=S-e_cret"])
def test_a_key_that_is_pasted_into_a_request_is_in_no_log(
    api: Api, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "covey.console"):
        api.post("/place/write", {"text": secret})
        api.ask("POST", f"/place/write/{secret}", json={}, headers={"X-Covey-Console": "of another page"})
    assert ["…" in message for message in caplog.messages] == [True, True]
    assert "cret" not in caplog.text


def test_a_stream_ends_with_its_session() -> None:
    sessions, sent = Sessions(None, "", lambda: 0.0, os.urandom), list[Message]()
    secret = sessions.open().secret

    async def app(_: Message, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(4):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
            if number == 1:
                sessions.close(secret)

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": f"{API}/x", "headers": [(b"cookie", f"c={secret}".encode())]}
    asyncio.run(gate.Gate(app, sessions, "c", Throttle(ServerLimits()))(scope, receive, send))
    bodies = [(message["body"], message["more_body"]) for message in sent[1:]]
    assert bodies == [(b"0", True), (b"1", True), (b"", False)]


def routes(console: Console) -> Iterator[tuple[str, str, Role | None]]:
    """(method, path, role) of every route of the real places."""
    sessions = Sessions(None, "", lambda: 0.0, bytes)
    app: FastAPI = extension.app_of(console, sessions, AssetFiles(), cookie="", secure=False)
    for context in iter_route_contexts(app.routes):
        route: Any = context
        if isinstance(context.original_route, APIRoute):
            needed = [role for one in route.dependant.dependencies if (role := role_of(one.call)) is not None]
            for method in route.methods:
                yield method, route.path, max(needed, default=None)


def test_no_route_that_reads_needs_more_than_a_reader(console: Console) -> None:
    """A page of another site can cause a GET, so a GET changes nothing."""
    found = list(routes(console))
    assert ("GET", "/api/about", None) in found
    assert [one for one in found if one[0] in ("GET", "HEAD") and (one[2] or Role.READER) > Role.READER] == []


def test_every_other_route_says_which_role_it_needs(console: Console) -> None:
    assert [one for one in routes(console) if one[0] not in ("GET", "HEAD") and one[2] is None] == [
        ("POST", "/api/session", None)
    ]


def test_the_dependencies_of_roles_name_their_roles() -> None:
    named = [role_of(one.__metadata__[0].dependency) for one in (Reader, Author, Operator)]
    assert named == [Role.READER, Role.AUTHOR, Role.OPERATOR]
