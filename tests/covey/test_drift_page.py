"""docs/drift.md: its commands work as written, and its numbers are those of the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from base.errors import DONE, DRIFT
from base.metrics import METRICS
from deployment.drift import checks, tail
from deployment.drift.report import Terms
from tests.deployment.drift.drifting import publish, sums

Covey = Callable[..., tuple[int, str, str]]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "drift.md").read_text(encoding="utf-8")


def test_the_commands_work_as_written(covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path / "flights", sums(180, 3, jump=150))
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(lines) == 5
    for words in lines:
        code, out, err = covey(*words[1:])
        assert code == (DRIFT if "--exit-code" in words else DONE), (words, err)
        assert "shops" in out


def test_the_numbers_are_those_of_the_code() -> None:
    flat = " ".join(PAGE.split())
    assert f"a check needs {tail.LEAST_BLOCKS} times as many panes" in flat
    assert f"half a year and {checks.MOST_PANES:,} panes" in flat
    assert checks.PAST_US == 182 * 86_400_000_000
    assert f"has {Terms().level * 365} false alarms" in flat
    assert f"below .0{round(100 * tail.MARGIN / 41)}" in flat


def test_the_metrics_are_those_of_the_code() -> None:
    assert set(re.findall(r"`(covey_drift\w*)`", PAGE)) == {one.name for one in METRICS if "drift" in one.name}
