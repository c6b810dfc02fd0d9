from __future__ import annotations

from pathlib import Path

import pytest

from base.user_cache import user_cache


@pytest.mark.parametrize(
    ("named", "cache"), [(None, "/home/u/.cache"), ("", "/home/u/.cache"), ("cache", "/home/u/.cache"), ("/c", "/c")]
)
def test_a_cache_is_never_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, named: str | None, cache: str
) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if named is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", named)
    assert user_cache() == Path(cache, "covey")
