"""What the parts of the fleet's state have in common."""

from __future__ import annotations

from pydantic import ConfigDict

from covey.console.api.form import Form


class Part(Form):
    """A part of the state. An answer has all of its fields, also those that have their default.

    Attributes:
        problem: why the part cannot be read; None: it was read.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    problem: str | None = None
