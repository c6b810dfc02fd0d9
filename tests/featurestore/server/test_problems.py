from __future__ import annotations

import json

import httpx
import pytest
from fastapi import FastAPI

from featurestore.errors import BadReference, OnDemandFailed, RequestTooLarge, UnknownView
from featurestore.server.errors import to_feast
from featurestore.server.problems import answer_with_problems, problem, problem_of

from .guarding import ask


@pytest.fixture(scope="module")
def app() -> FastAPI:
    made = FastAPI()
    answer_with_problems(made)

    @made.get("/number/{number}")
    async def number(number: int) -> int:
        return 1 // number

    return made


def refused(response: httpx.Response) -> tuple[int, str, str]:
    """(status, title, detail) of a problem."""
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert sorted(body) == ["detail", "status", "title"]
    assert body["status"] == response.status_code
    return body["status"], body["title"], body["detail"]


def test_an_answer_stays_as_it_is(app: FastAPI) -> None:
    assert ask(app, "GET", "/number/1").json() == 1


def test_another_path_another_method_and_odd_parameters_are_problems(app: FastAPI) -> None:
    assert refused(ask(app, "GET", "/nothing"))[:2] == (404, "Not Found")
    response = ask(app, "DELETE", "/number/1")
    assert refused(response)[:2] == (405, "Method Not Allowed")
    assert response.headers["allow"] == "GET"
    status, _, detail = refused(ask(app, "GET", "/number/x"))
    assert status == 422
    assert "path.number" in detail


def test_a_defect_is_a_problem_without_its_text_and_is_logged_by_the_server(app: FastAPI) -> None:
    status, title, detail = refused(ask(app, "GET", "/number/0"))
    assert (status, title) == (500, "Internal Server Error")
    assert "division" not in detail


def test_an_error_of_the_store_has_its_name_and_a_defect_keeps_its_text(caplog: pytest.LogCaptureFixture) -> None:
    for error, status in ((UnknownView("x", []), 404), (RequestTooLarge("x"), 413), (BadReference("x"), 422)):
        body = json.loads(problem_of(error).body)
        assert (body["status"], body["error"], body["detail"]) == (status, type(error).__name__, str(error))
    response = problem_of(ZeroDivisionError("secret of the inside"))
    assert (response.status_code, response.media_type) == (500, "application/problem+json")
    assert b"secret" not in response.body
    assert "secret of the inside" in caplog.text


def test_a_function_that_fails_is_named_and_its_text_is_not_told() -> None:
    error = OnDemandFailed("risk", "ValueError: secret of the inside")
    for body in (problem_of(error).body, to_feast(error)[1]):
        assert b"on-demand view 'risk' failed" in bytes(body)
        assert b"secret" not in bytes(body)


def test_a_long_detail_is_cut() -> None:
    assert len(problem(404, "x" * 10_000)) < 500
