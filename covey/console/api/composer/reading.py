"""What the routes of files and runs need of a text. A child process reads it; see `covey.console.text_pool`."""

from __future__ import annotations

import json
from typing import Final, Self

from anyio import from_thread
from fastapi import APIRouter

from covey.console.api.form import Form
from covey.console.console import Console
from covey.console.evaluation import KnownViews, views_of
from covey.console.gate import API
from covey.console.problems import Problem, ProblemFound
from covey.console.roles import Reader
from covey.console.run_request import OnDemandData, ServiceData, decoded, encoded
from covey.console.sessions import User
from covey.console.text_pool import TextPool, TextSettings
from deployment.view_source import graph as source
from featurestore.define.views_file import Declared

from .graph import GraphProblem, problems_of
from .texts import ParsedText, TextBody, parsed

_EVALUATE: Final = "evaluate"


class EvaluatedText(Form):
    """The views and services of a text as data: `KnownViews` between two processes. `views`: see `RunRequest`."""

    views: tuple[str, ...]
    services: tuple[ServiceData, ...]
    on_demand: tuple[OnDemandData, ...]
    problems: tuple[GraphProblem, ...]
    executed: bool

    @classmethod
    def of(cls, known: KnownViews) -> Self:
        """The data of what is known."""
        return cls(
            views=encoded(known.declared.views),
            services=tuple(map(ServiceData.model_validate, known.declared.services)),
            on_demand=tuple(map(OnDemandData.of, known.declared.on_demand)),
            problems=problems_of(known.problems),
            executed=known.executed,
        )

    def read(self) -> KnownViews:
        """What is known."""
        on_demand, services = (one.read() for one in self.on_demand), (one.read() for one in self.services)
        return KnownViews(
            Declared(decoded(self.views), tuple(on_demand), tuple(services)),
            tuple(source.Problem(one.node, one.field, one.message, one.line) for one in self.problems),
            self.executed,
        )


def parsed_for(console: Console, user: User, text: str) -> ParsedText:
    """A text as the page has it. Raises ConsoleBusy, TextTooDemanding, ProblemFound, ViewSourceTooLarge."""
    if console.texts is None:
        return parsed(console.text_settings, text)
    return ParsedText.model_validate_json(_asked(console.texts, user, "parse", text))


def views_for(console: Console, user: User, text: str) -> KnownViews:
    """The views of a text. Raises as `parsed_for`, and ViewSourceInvalid."""
    if console.texts is None:
        return views_of(console.text_settings, text)
    return EvaluatedText.model_validate_json(_asked(console.texts, user, _EVALUATE, text)).read()


def inner_router(settings: TextSettings) -> APIRouter:
    """The route that only the console asks its children for."""
    router = APIRouter()

    @router.post(f"/{_EVALUATE}")
    def evaluate_text(body: TextBody, _user: Reader) -> EvaluatedText:
        """The views and services of a text."""
        return EvaluatedText.of(views_of(settings, body.text))

    return router


def _asked(pool: TextPool, user: User, route: str, text: str) -> bytes:
    """The answer of a child, waited for in the thread of a route. Raises ConsoleBusy, TextTooDemanding, ProblemFound."""
    found = from_thread.run(pool.ask, user.ident, f"{API}/composer/{route}", json.dumps({"text": text}).encode())
    if found.status != 200:
        raise ProblemFound(Problem.model_validate_json(found.body))
    return found.body
