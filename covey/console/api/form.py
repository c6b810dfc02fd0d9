"""What the models of requests and answers have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Form(BaseModel):
    """A request or an answer: it cannot be changed, and has no other fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
