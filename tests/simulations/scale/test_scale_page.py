"""The benchmark of docs/scale.md runs from end to end, and the page's tables equal its output."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from benchmarks import scale

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "scale.md").read_text(encoding="utf-8")


def headers(text: str) -> list[str]:
    return re.findall(r"^(\| .+ \|)\n\|(?:---\|)+$", text, flags=re.M)


def test_the_benchmark_prints_the_tables_of_the_page_and_a_json_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    picture = tmp_path / "scale.png"
    words = ["--slots", "20", "--quick", "--folder", str(tmp_path), "--picture", str(picture), "--vcpu-hour", "0"]
    monkeypatch.setattr(sys, "argv", ["scale", *words])
    scale.main()
    printed = capsys.readouterr().out
    figures = json.loads(printed.splitlines()[-1])
    assert len(figures["estimates"]) == 2 * 2 * 4
    assert all(one["once"] for one in figures["played"])
    free = figures["estimates"]["phones 20 none 1e+06"]
    assert 0 < free["dollars"] < 2 * 0.09 * free["upload_bytes"] / 1e9  # machines cost nothing, egress does
    assert picture.read_bytes().startswith(b"\x89PNG")

    def names(table: str) -> str:
        return re.sub(r"[\d,]+ (slots|reports|shards)", r"N \1", table)

    assert {names(one) for one in headers(printed)} == {names(one) for one in headers(PAGE)}


def test_the_commands_of_the_page_are_commands_of_the_benchmark() -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)
    commands = [shlex.split(line) for line in block.splitlines()]
    assert [command[:3] for command in commands] == [["python", "-m", "benchmarks.scale"]] * 2
    first, second = (scale.arguments().parse_args(command[3:]) for command in commands)
    assert first.slots == [100, 1_000, 10_000]
    assert first.picture == Path("docs/scale.png")
    assert (second.rtt_ms, second.link_gbit, second.vcpu_hour, second.egress_gb) == (2, 25, 0.03, 0.02)
