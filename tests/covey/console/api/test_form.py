"""Bodies of requests: a large one that is wrong everywhere costs little, and has a short answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import FailFast, ValidationError
from pydantic.fields import FieldInfo

from covey.console.api.composer.texts import RenderBody
from covey.console.api.form import MAX_ERRORS, Body
from covey.console.extension import app_of  # imports all places

NODES = 200_000


@pytest.mark.parametrize(
    "body",
    [
        {f"k{number}": 0 for number in range(NODES)},
        {"text": "", "graph": {"nodes": [{}] * NODES}},
        {"text": "", "graph": {"nodes": [{"links": {f"k{number}": 0 for number in range(NODES)}}]}},
    ],
)
def test_a_body_that_is_wrong_everywhere_has_few_errors(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        RenderBody.model_validate(body)
    assert caught.value.error_count() <= MAX_ERRORS


def test_a_few_errors_are_named_one_by_one() -> None:
    with pytest.raises(ValidationError) as caught:
        RenderBody.model_validate({"other": 1})
    assert {error["loc"] for error in caught.value.errors()} == {("text",), ("graph",), ("other",)}


def test_reading_a_list_of_a_body_ends_at_its_first_error() -> None:
    lists = [(owner.__name__, one) for owner in _bodies(Body) for one in _fields(owner)]
    assert app_of
    assert lists
    assert [name for name, one in lists if FailFast() not in one.metadata] == []


def _bodies(base: type[Body]) -> Iterator[type[Body]]:
    for one in base.__subclasses__():
        yield one
        yield from _bodies(one)


def _fields(owner: type[Body]) -> Iterator[FieldInfo]:
    """The fields that are lists."""
    for one in owner.model_fields.values():
        kind = get_args(one.annotation)[0] if get_origin(one.annotation) is Annotated else one.annotation
        if get_origin(kind) is tuple:
            yield one
