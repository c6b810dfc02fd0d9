"""Only a full disk asks for space. Every other failed write names its own cause."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from base.disk import is_full, mend_of, reason_of
from featurestore.errors import StoreWriteFailed
from federation.errors import LedgerWriteFailed
from training.errors import CacheWriteFailed


def _os_error(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path)


FULL = [
    _os_error(errno.ENOSPC),
    _os_error(errno.EDQUOT),
    OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
    sqlite3.OperationalError("database or disk is full"),
]
OTHERS = [
    (_os_error(errno.EACCES), "Permission denied"),
    (_os_error(errno.EROFS, "/data/disk is full"), "Read-only file system"),
    (_os_error(errno.EIO), "Input/output error"),
    (sqlite3.OperationalError("unable to open database file"), "unable to open database file"),
]


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_a_full_disk_is_known_by_its_number_or_by_its_words(error: Exception) -> None:
    assert is_full(error)
    assert (reason_of(error), mend_of(reason_of(error))) == ("disk full", "free some space")


@pytest.mark.parametrize(("error", "reason"), OTHERS, ids=repr)
@pytest.mark.parametrize("failed", [StoreWriteFailed, LedgerWriteFailed, CacheWriteFailed])
def test_another_failed_write_names_its_cause_and_asks_for_no_space(
    failed: type[StoreWriteFailed | LedgerWriteFailed | CacheWriteFailed], error: Exception, reason: str
) -> None:
    assert not is_full(error)
    said = str(failed("/data/x", reason_of(error)))
    assert f"({reason})" in said
    assert "remove that cause" in said
    assert "space" not in said
    assert "space" in str(failed("/data/x", reason_of(FULL[0])))
