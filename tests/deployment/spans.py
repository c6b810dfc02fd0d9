"""The spans of a deployment, as its roles wrote them to a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ATTRIBUTES = {"covey.plan", "covey.view", "covey.pane", "covey.site", "covey.panes", "covey.code"}


@dataclass(frozen=True)
class Span:
    name: str
    role: str
    trace: str
    id: str
    parent: str | None
    attributes: dict[str, Any]
    raw: dict[str, Any]


def spans_of(file: Path) -> list[Span]:
    return [_span(json.loads(line)) for line in file.read_text().splitlines()]


def _span(raw: dict[str, Any]) -> Span:
    context, role = raw["context"], raw["resource"]["attributes"]["service.name"]
    return Span(
        raw["name"], role, context["trace_id"], context["span_id"], raw["parent_id"], raw["attributes"], raw
    )  # fmt: skip


def paths_of(spans: list[Span], trace: str) -> set[str]:
    """For each span of a trace its names from the root on, as `role name > role name > …`."""
    known = {span.id: span for span in spans if span.trace == trace}

    def path(span: Span) -> str:
        own = f"{span.role} {span.name}"
        return own if span.parent is None else f"{path(known[span.parent])} > {own}"

    return {path(span) for span in known.values()}


HOPS = """
coordinator collection
  coordinator announcement
    leader OpenPlan
    helper OpenPlan
  coordinator sites
    site answer
      site policy
      site events
      site ledger
      site compute
      site protect
      coordinator batches
        leader Submit
          leader batch
            leader job
              helper Aggregate
                helper job
  coordinator shares
    leader Collect
      leader opening
        leader noise
        helper Commit
        helper Witness
          helper noise
        helper Swap
    helper Collect
  coordinator publication
    server read
"""
"""The hops of a collection with shares, from its plan to the first read of its release: role and name, below the parent."""


def hops() -> list[str]:
    """`HOPS` as `paths_of` gives them."""
    above, found = list[str](), list[str]()
    for line in HOPS.strip().splitlines():
        level = (len(line) - len(line.lstrip())) // 2
        above = [*above[:level], line.strip()]
        found.append(" > ".join(above))
    return found


def check_one_trace(file: Path, *, sites: set[str], plan: str) -> None:
    """One collection has one trace with every hop, and no span has anything but the closed set of attributes."""
    spans = spans_of(file)
    (read, *_) = [span for span in spans if span.name == "read"]
    found = paths_of(spans, read.trace)
    assert [hop for hop in hops() if hop not in found] == [], "\n".join(sorted(found))
    mine = [span for span in spans if span.trace == read.trace]
    for span in spans:
        assert set(span.attributes) <= ATTRIBUTES, span
        assert (span.raw["events"], span.raw["links"]) == ([], []), span
        assert set(span.raw["status"]) == {"status_code"}, span
    assert {span.attributes["covey.site"] for span in mine if span.name == "answer"} == sites
    assert {span.attributes["covey.plan"] for span in mine if "covey.plan" in span.attributes} == {plan}
    assert {span.attributes.get("covey.view") for span in mine if span.name == "read"} == {"visits"}
