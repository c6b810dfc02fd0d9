"""Spans: what they can hold, whose children they are, and what a sender can do to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from base.errors import ConfigInvalid, ExtraMissing, NotPrivate
from base.fields import Fields
from base.trace_export import ToCollector, ToConsole, ToFile, export_of
from base.trace_parent import TraceParent
from base.traces import here, is_tracing, span, tracing_as

PARENT = TraceParent("0123456789abcdef" * 2, "fedcba9876543210")
PLAN = bytes(range(32))


@pytest.fixture
def spans(tmp_path: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """This process is traced as the leader: the spans that have ended."""
    with tracing_as("leader", ToFile(tmp_path / "spans.jsonl")):
        yield lambda: [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]


def test_a_span_has_a_name_two_times_and_the_closed_set_of_attributes(spans: Any) -> None:
    with span("opening", Fields(plan=PLAN, view="visits", pane=0, site="1"), panes=7) as one:
        one.code("OK")
    (made,) = spans()
    assert made["name"] == "opening"
    assert made["attributes"] == {
        "covey.plan": PLAN.hex(), "covey.view": "visits", "covey.pane": "1970-01-01T00:00:00Z", "covey.site": "1",
        "covey.panes": 7, "covey.code": "OK",
    }  # fmt: skip
    assert made["resource"]["attributes"]["service.name"] == "leader"
    assert (made["parent_id"], made["events"], made["links"], made["status"]) == (None, [], [], {"status_code": "OK"})


def test_a_span_in_a_span_is_its_child_and_has_its_fields(spans: Any) -> None:
    with span("opening", Fields(plan=PLAN)) as outer, span("noise", Fields(view="visits")) as inner:
        assert here() == inner.here
    assert here() is None
    noise, opening = spans()
    assert noise["parent_id"] == opening["context"]["span_id"] == f"0x{outer.here.span}"  # type: ignore[union-attr]
    assert noise["attributes"] == {"covey.plan": PLAN.hex(), "covey.view": "visits"}


def test_an_error_leaves_its_code_and_never_its_text(spans: Any) -> None:
    with pytest.raises(ConfigInvalid), span("ours"):
        raise ConfigInvalid("patient-7.toml", "patient 7")
    with pytest.raises(ValueError, match="patient"), span("foreign"):
        raise ValueError("patient 7")
    ours, foreign = spans()
    assert (ours["attributes"], ours["status"]) == ({"covey.code": "CONFIG_INVALID"}, {"status_code": "ERROR"})
    assert (foreign["attributes"], foreign["status"]) == ({}, {"status_code": "ERROR"})
    assert "patient" not in json.dumps([ours, foreign])


@pytest.mark.parametrize("text", ["patient 7", "", "ok", "A" * 65, "A\n"])
def test_a_code_that_is_none_is_refused(spans: Any, text: str) -> None:
    with pytest.raises(ValueError, match="not a code"), span("answer") as one:
        one.code(text)


def test_a_span_joins_the_trace_of_its_sender(spans: Any) -> None:
    with span("answer", sender=PARENT) as one:
        pass
    (made,) = spans()
    assert made["parent_id"] == f"0x{PARENT.span}"
    assert one.here is not None
    assert one.here.trace == PARENT.trace


def test_a_party_that_was_asked_cannot_move_the_askers_spans_into_another_trace(spans: Any) -> None:
    with span("sites") as outer:
        assert outer.here is not None
        own = TraceParent(outer.here.trace, "00000000000000aa")
        with span("foreign", sender=PARENT), span("own", sender=own):
            pass
    made = {one["name"]: one for one in spans()}
    assert made["foreign"]["parent_id"] == made["sites"]["context"]["span_id"]
    assert made["own"]["parent_id"] == "0x00000000000000aa"


@pytest.mark.parametrize(
    "text",
    ["", "00-" + "0" * 32 + "-fedcba9876543210-01", "00-0123456789abcdef0123456789abcdef-" + "0" * 16 + "-01",
     "01-0123456789abcdef0123456789abcdef-fedcba9876543210-01", "00-0123456789ABCDEF0123456789abcdef-fedcba9876543210-01",
     "00-0123456789abcdef0123456789abcdef-fedcba9876543210-1", "00-0123456789abcdef0123456789abcdef-fedcba9876543210-01\n",
     "00-0123456789abcdef0123456789abcdef-fedcba9876543210-01-x", "٠0-0123456789abcdef0123456789abcdef-fedcba9876543210-01",
     b"00-0123456789abcdef0123456789abcdef-fedcba9876543210-01", None, 7, ["00"]],
)  # fmt: skip
def test_what_is_no_traceparent_counts_as_none(text: object) -> None:
    assert TraceParent.parse(text) is None


def test_a_traceparent_is_what_was_written() -> None:
    assert TraceParent.parse(str(PARENT)) == PARENT
    assert TraceParent.parse(str(PARENT)[:-2] + "00") == PARENT  # each operator decides for itself what it records


def test_the_setting_names_an_exporter_or_is_refused() -> None:
    assert export_of("") is None
    assert export_of("console") == ToConsole()
    assert export_of("otlp") == ToCollector()
    assert export_of("file:/a:b.jsonl") == ToFile(Path("/a:b.jsonl"))
    for wrong in ("on", "console:", "otlp:x", "file", "file:", ":", "Console"):
        with pytest.raises(ConfigInvalid, match="write console, otlp or file:PATH"):
            export_of(wrong)


def test_a_file_of_spans_is_private_and_no_link(tmp_path: Path) -> None:
    (tmp_path / "spans").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "spans")
    with pytest.raises(NotPrivate), tracing_as("leader", ToFile(tmp_path / "link")):
        pass
    assert not is_tracing()
    with tracing_as("leader", ToFile(tmp_path / "spans")):
        pass
    assert (tmp_path / "spans").stat().st_mode & 0o777 == 0o600


def test_a_missing_exporter_is_named_with_the_mend() -> None:
    mend = r"needs opentelemetry-exporter-otlp-proto-http, which is not installed: pip install 'covey\[otlp\]'"
    with pytest.raises(ExtraMissing, match=mend), tracing_as("leader", ToCollector()):
        pass


def test_without_the_setting_nothing_of_opentelemetry_is_imported() -> None:
    program = """
import sys
from base.traces import here, span, tracing_as
import aggregator.services.tracing as services, covey.cli.start
with tracing_as("leader", None), span("noise") as one:
    assert (one.here, here(), services.client_interceptors(), services.spans()) == (None, None, (), [])
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ))
