"""Traces: generated ones match their description and depend on seed and name only; a trace file is parsed strictly."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulations.errors import FleetImpossible, TraceInvalid
from simulations.fleets import arrivals
from simulations.fleets.arrivals import FromFile, Generated

SITES = [f"s{number:05d}" for number in range(5_000)]


def test_latencies_are_log_normal_and_the_parts_drop_out() -> None:
    fates = Generated(median_s=30, tail=0.5, before=0.1, after=0.2, seed=1).of(SITES)
    answered = np.isfinite(fates.at_s)
    assert np.mean(~answered) == pytest.approx(0.1, abs=0.02)
    assert np.mean(fates.lost) == pytest.approx(0.2, abs=0.02)
    logs = np.log(fates.at_s[answered])
    assert np.exp(np.median(logs)) == pytest.approx(30, rel=0.05)
    assert np.std(logs) == pytest.approx(0.5, rel=0.05)


def test_a_sites_fate_depends_on_its_name_and_the_seed_only() -> None:
    trace = Generated(before=0.3, after=0.3, seed=1)
    all_at_once, alone = trace.of(SITES), [trace.of([site]) for site in SITES[:50]]
    assert [one.at_s[0] for one in alone] == all_at_once.at_s[:50].tolist()
    assert [one.lost[0] for one in alone] == all_at_once.lost[:50].tolist()
    assert (Generated(seed=2).of(SITES).at_s != Generated(seed=1).of(SITES).at_s).all()
    assert len(trace.of([]).at_s) == 0


def test_only_what_is_not_lost_and_before_the_deadline_is_in_time(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("site,at_s,lost\na,0,0\nb,9.999,0\nc,10,0\nd,5,1\ne,,0\n")
    trace = FromFile(path)
    assert trace.sites == ("a", "b", "c", "d", "e")
    fates = trace.of(["e", "d", "c", "b", "a"])
    assert fates.in_time(10.0).tolist() == [False, False, False, True, True]
    assert math.isinf(fates.at_s[0])
    assert pickle.loads(pickle.dumps(trace)).of(["a"]).at_s.tolist() == [0.0]  # workers receive it pickled


def test_a_site_that_the_file_does_not_name_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("site,at_s,lost\na,0,0\n")
    with pytest.raises(TraceInvalid, match="it does not name site 'b'"):
        FromFile(path).of(["a", "b"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the first line must be site,at_s,lost"),
        (b"site,lost,at_s\n", "the first line must be site,at_s,lost"),
        (b"site,at_s,lost\na,1\n", "line 2: it has 2 columns, not 3"),
        (b"site,at_s,lost\na,1,0,0\n", "line 2: it has 4 columns, not 3"),
        (b"site,at_s,lost\na,soon,0\n", "line 2: at_s 'soon' is no number"),
        (b"site,at_s,lost\na,-1,0\n", "line 2: at_s '-1' is no finite number"),
        (b"site,at_s,lost\na,nan,0\n", "line 2: at_s 'nan' is no finite number"),
        (b"site,at_s,lost\na,inf,0\n", "line 2: at_s 'inf' is no finite number"),
        (b"site,at_s,lost\na,1,no\n", "line 2: lost is 0 or 1, got 'no'"),
        (b"site,at_s,lost\na,1,0\na,2,0\n", "line 3: site 'a' occurs twice"),
        (b"site,at_s,lost\n\xff,1,0\n", "can't decode"),
        (b'site,at_s,lost\n"a,1,0\n', "unexpected end of data"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_by_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    with pytest.raises(TraceInvalid, match=f"is no trace of arrivals: .*{says}"):
        FromFile(path)


def test_a_missing_and_a_huge_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TraceInvalid, match="No such file"):
        FromFile(tmp_path / "nowhere.csv")
    monkeypatch.setattr(arrivals, "MAX_TRACE_BYTES", 10)
    (tmp_path / "trace.csv").write_text("site,at_s,lost\n")
    with pytest.raises(TraceInvalid, match="more than 10 bytes"):
        FromFile(tmp_path / "trace.csv")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"median_s": -1}, "median_s -1"),
        ({"median_s": math.inf}, "median_s inf"),
        ({"tail": 11}, "tail 11"),
        ({"before": 1.5}, "before 1.5"),
        ({"after": -0.1}, "after -0.1"),
        ({"after": math.nan}, "after nan"),
    ],
)
def test_impossible_arrivals_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(FleetImpossible, match=f"arrivals with {says}: it must be from "):
        Generated(**change)
