"""What the models of requests and answers have in common."""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import PydanticCustomError

MAX_ERRORS: Final = 100
"""Errors that are named one by one: each takes microseconds, and a body has room for a million."""


class Form(BaseModel):
    """A request or an answer: it cannot be changed, and has no other fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Body(Form):
    """The body of a request. Each of its lists needs a `max_length` and `FailFast`, which ends the reading of a long one."""

    @model_validator(mode="wrap")
    @classmethod
    def _name_few_errors(cls, data: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return read(data)
        except ValidationError as error:
            if error.error_count() <= MAX_ERRORS:
                raise
            raise PydanticCustomError("many_errors", "more than {most} errors", {"most": MAX_ERRORS}) from None
