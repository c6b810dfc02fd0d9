"""Sizes as people write them."""

from __future__ import annotations

import pytest

from base.sizes import MAX_SIZE, parse_size


@pytest.mark.parametrize(
    ("text", "size"), [("1B", 1), ("512MB", 512 * 10**6), ("2 GB", 2 * 10**9), ("1GiB", 2**30), ("3kB", 3_000)]
)
def test_a_size_has_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["2", "2gb", "GB", "-1GB", "1.5GB", "", "0GB", "9999TB", "1 0GB", "١GB", 2, None, "2GB\n"]
)
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)
    assert parse_size(f"{MAX_SIZE // 10**12}TB") == MAX_SIZE
