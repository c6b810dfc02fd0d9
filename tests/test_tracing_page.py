"""docs/tracing.md names every field, attribute and span that there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from base.fields import Fields
from tests.deployment.spans import ATTRIBUTES, HOPS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "tracing.md").read_text("utf-8")


def rows(heading: str) -> list[str]:
    """The cells of the first column of the table below a heading or line."""
    table = PAGE.partition(heading)[2].partition("|---")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([\w.]+)` \|", table, flags=re.M)


def test_the_fields_of_a_log_line() -> None:
    own = [field.name for field in fields(Fields)]
    assert rows("## Logs") == ["time", "level", "role", "message", *own, "error"]


def test_the_attributes_of_a_span() -> None:
    assert set(rows("## What is in a span")) == ATTRIBUTES
    assert {f"covey.{field.name}" for field in fields(Fields)} < ATTRIBUTES


def test_the_spans_of_a_collection() -> None:
    table = PAGE.partition("The spans of one collection")[2].partition("## ")[0]
    names = {line.split()[1] for line in HOPS.strip().splitlines()}
    assert names <= set(re.findall(r"`(\w+)`", table))
