"""The keys of a role in the course of time: the deadline of a plan determines which of them is the role's key for it."""

from __future__ import annotations

import pytest

from crypto.errors import SignatureInvalid
from crypto.signing import SigningKey, VerifyKey
from federation.errors import KeyNotInForce
from federation.former_keys import FormerKey, PinnedKey

FIRST, SECOND, THIRD, STRANGER = (SigningKey(bytes([number]) * 32) for number in range(4))
DOMAIN = b"covey-1 test"
PINNED = PinnedKey(
    "leader", THIRD.public, (FormerKey("leader", FIRST.public, 100), FormerKey("leader", SECOND.public, 200))
)


@pytest.mark.parametrize(
    ("deadline", "key"), [(0, FIRST), (100, FIRST), (101, SECOND), (200, SECOND), (201, THIRD), (10**18, THIRD)]
)
def test_each_deadline_has_one_key(deadline: int, key: SigningKey) -> None:
    assert PINNED.at(deadline) == key.public
    PINNED.require(key.public, deadline)
    for other in {FIRST, SECOND, THIRD, STRANGER} - {key}:
        with pytest.raises(KeyNotInForce):
            PINNED.require(other.public, deadline)


def check(signer: SigningKey, deadline: int) -> int:
    """The deadline in a message that one key has signed, as a party with these pins reads it."""
    signature = signer.sign(DOMAIN, b"a message")

    def verified(key: VerifyKey) -> int:
        key.verify(DOMAIN, b"a message", signature)
        return deadline

    return PINNED.verified(verified, int)


def test_a_message_with_a_former_key_after_its_time_is_refused_by_name() -> None:
    assert check(FIRST, 100) == 100
    with pytest.raises(KeyNotInForce, match=r"was replaced on 1970-01-01T00:00:00\.000100Z") as refused:
        check(FIRST, 101)
    assert (refused.value.until, refused.value.deadline) == (100, 101)
    assert refused.value.need == SECOND.public.id.hex()


def test_a_new_key_before_its_time_and_the_key_of_a_stranger_are_refused() -> None:
    with pytest.raises(KeyNotInForce, match="is not in force yet"):
        check(THIRD, 200)
    with pytest.raises(SignatureInvalid):
        check(STRANGER, 300)
