from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crypto.errors import CryptoError
from crypto.signing import SigningKey
from featurestore.define.release import Release
from federation.release_signing import sign_release, verify_release
from tests.featurestore.making import a_release, a_view, a_void, manifest_of

VIEW = a_view()
KEY, OTHER = SigningKey(bytes(range(32))), SigningKey(bytes(32))


def release() -> Release:
    return a_release(VIEW, 0)


def test_a_signed_release_and_a_signed_void_verify() -> None:
    for item in (release(), a_void(VIEW, 0)):
        verify_release(sign_release(item, KEY), KEY.public)


@pytest.mark.parametrize(
    "change",
    [
        {"slots": np.ones((2, 3), dtype=np.int64)},
        {"pane_start": 1},
        {"pane_end": 11},
        {"released_at": 14},
        {"published_at": 17},
        {"clock": "live"},
        {"manifest": replace(manifest_of(VIEW), noisers=1)},
        {"signature": bytes(64)},
        {"signature": b""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_is_changed_breaks_the_signature(change: dict[str, object]) -> None:
    with pytest.raises(CryptoError):
        verify_release(replace(sign_release(release(), KEY), **change), KEY.public)  # type: ignore[arg-type]


def test_another_collectors_signature_is_not_taken() -> None:
    with pytest.raises(CryptoError):
        verify_release(sign_release(release(), OTHER), KEY.public)


def test_a_void_is_never_read_as_a_release() -> None:
    void = a_void(VIEW, 0)
    assert void.signed_bytes != release().signed_bytes
