"""The collector's signature of a release or void, and its verification."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from crypto.signing import SigningKey, VerifyKey
from featurestore.define.release import Release, Void

DOMAIN: Final = b"covey-1 release"

_Item = TypeVar("_Item", bound=Release | Void)


def sign_release(item: _Item, collector: SigningKey) -> _Item:
    """Run by the collector: the same release or void, signed."""
    return replace(item, signature=collector.sign(DOMAIN, item.signed_bytes))


def verify_release(item: Release | Void, collector: VerifyKey) -> None:
    """Return if this collector signed exactly this release or void. Raises SignatureInvalid."""
    collector.verify(DOMAIN, item.signed_bytes, item.signature)
