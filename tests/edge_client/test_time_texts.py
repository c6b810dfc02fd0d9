"""Times as text: the quick way for the usual form gives what the database gives."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from base.times import to_us
from edge_client import time_texts
from edge_client.time_texts import has_no_zone, parse_times


def parsed(texts: list[str | None]) -> list[int | None]:
    values: list[int | None] = (
        parse_times(pa.array(texts, pa.large_string()), "t", strict=False).cast(pa.int64()).to_pylist()
    )
    return values


def us(moment: datetime | None) -> int | None:
    return None if moment is None else to_us(moment)


@given(
    st.lists(st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))), min_size=1), st.booleans()
)
@example([datetime(2020, 1, 1)], True)
def test_the_usual_form_is_read_without_a_database(times: list[datetime | None], with_zone: bool) -> None:
    texts = [None if one is None else one.isoformat(sep="T") + "Z" * with_zone for one in times]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_texts, "locked_duckdb", lambda: pytest.fail("a query"))
        assert parsed(texts) == list(map(us, times))


_TEXT = st.from_regex(
    r"(0000|2020|1969|9999)-(01|02|13)-(28|29|30|31)[T ](00|23|24):(00|59|60):(00|59|60)(\.[0-9]{1,6})?Z?",
    fullmatch=True,
)


@given(st.lists(_TEXT, min_size=1, max_size=3))
def test_the_quick_way_and_the_database_agree(texts: list[str]) -> None:
    quick = parsed(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_texts, "_common", lambda _: None)
        assert parsed(texts) == quick


@pytest.mark.parametrize(
    ("text", "naive"),
    [
        ("2013-01-31", True), ("2013-01-31T10:00", True), ("2013-01-31 10:00:00.5 ", True), ("2013/01/31 10:00", True),
        ("2013-01-31T10:00Z", False), ("2013-01-31 10:00:00+01", False), ("2013-01-31 10:00:00-05:00", False),
        ("2013-01-31 10:00:00 Europe/Berlin", False), ("2013-01-31 10:00:00 UTC", False), ("epoch", False),
    ],
)  # fmt: skip
def test_a_zone_follows_a_time_of_day(text: str, naive: bool) -> None:
    assert has_no_zone(pa.array([text])).to_pylist() == [naive]
    assert parsed([text]) != [None]


def test_another_offset_is_another_time() -> None:
    assert parsed(["2013-01-31T10:00:00+01:00", "soon", None]) == [
        us(datetime(2013, 1, 31, 9)), None, None,
    ]  # fmt: skip
