"""Errors as RFC 9457 problems with the code of the error and its mend, as `covey` prints them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import duckdb
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from base.errors import FAILURE, NOT_FOUND, REFUSED, USAGE, CoveyError, FileInUse, LockHeld
from covey.cli.mends import mend_of
from covey.errors import ConsoleError
from featurestore.errors import BadRequest, OnlineUnavailable, StoreInUse
from featurestore.server.answer import Answer
from featurestore.server.errors import DEFECT
from featurestore.server.refusal import MEDIA_TYPE, Refused

_SHOWN: Final = 2_000
_STATUS: Final[Mapping[int, int]] = {USAGE: 422, REFUSED: 409, NOT_FOUND: 404, FAILURE: 500}

_log = logging.getLogger(__name__)


class Problem(BaseModel):
    """An error: what is wrong, and its mend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    status: int
    code: str
    detail: str
    mend: str


class ProblemFound(Exception):
    """A problem that another process of the console has found, and that is passed on as it is."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.code)


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {"default": {"model": Problem, "description": "An error"}}
"""For `APIRouter(responses=…)`: every route may answer with a problem."""

_UNREADABLE: Final = "STORE_UNREADABLE"
_LOCKED: Final = (FileInUse, LockHeld, StoreInUse)
_DAMAGE: Final = (OSError, sqlite3.Error, duckdb.Error)


def problem_of(error: Exception) -> Problem:
    """An error as a problem. The text of an error that is a defect, or of a library, stays in the log."""
    match error:
        case CoveyError():
            return _problem(_status_of(error), error.code, str(error), mend_of(error))
        case ProblemFound():
            return error.problem
        case Refused():
            return _problem(error.status, "REFUSED", error.detail)
        case HTTPException():
            return _problem(error.status_code, f"HTTP_{error.status_code}", str(error.detail))
        case RequestValidationError():
            return _problem(422, "REQUEST_INVALID", "; ".join(map(_place, error.errors())))
        case _ if isinstance(error, _DAMAGE):
            _log.error("a file cannot be read", exc_info=error)
            detail = f"a file of the store or project cannot be read ({type(error).__name__})"
            return _problem(
                DEFECT, _UNREADABLE, detail, "`covey store verify` checks every file; the log has the details"
            )
        case _:
            _log.error("a request failed", exc_info=error)
            return _problem(DEFECT, "DEFECT", "the console has a defect; its log has the details")


def answer_of(error: Exception) -> Answer:
    """The answer to a request that failed with an error."""
    found = problem_of(error)
    wait = getattr(error, "wait_s", None) or getattr(error, "retry_after_s", None)
    more = () if wait is None else ((b"retry-after", b"%d" % wait),)
    return Answer(found.status, orjson.dumps(found.model_dump()), MEDIA_TYPE.encode(), more)


def answer_with_problems(app: FastAPI) -> None:
    """Make every error of an app a problem."""

    async def problem(_: Request, error: Exception) -> Response:
        made = answer_of(error)
        headers = {name.decode(): value.decode() for name, value in made.more}
        return Response(made.body, made.status, headers, made.kind.decode())

    for kind in (CoveyError, ProblemFound, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, problem)


def _status_of(error: CoveyError) -> int:
    match error:
        case ConsoleError():
            return error.status
        case OnlineUnavailable():
            return 503
        case BadRequest():
            return 422
        case _ if isinstance(error, _LOCKED):
            return 409
        case _:
            return _STATUS.get(error.exit_code, DEFECT)


def _place(one: Mapping[str, Any]) -> str:
    return f"{'.'.join(map(str, one['loc']))}: {one['msg']}"


def _problem(status: int, code: str, detail: str, mend: str = "") -> Problem:
    return Problem(
        title=HTTPStatus(status).phrase, status=status, code=code, detail=detail[:_SHOWN], mend=mend[:_SHOWN]
    )
