from __future__ import annotations

import os

import pytest
from flwr.supercore.primitives.asymmetric import (
    bytes_to_public_key,
    public_key_to_bytes,
    sign_message,
    verify_signature,
)

from federation.errors import NodeKeyInvalid, PartyInvalid
from federation.keys import RoleKeys
from federation.node_keys import NodeCertificate, NodeKey, NodePublicKey
from federation.parties import Roster, RosterEntry

from .wire import OTHER_SITE, SITE


def certificate(keys: RoleKeys) -> NodeCertificate:
    assert keys.public.node is not None
    return keys.public.node


def test_a_node_key_comes_back_from_its_bytes_and_shows_no_secret() -> None:
    key = NodeKey.generate(os.urandom)
    again = NodeKey(key.secret_bytes())
    assert again.public == key.public
    assert NodePublicKey(key.public.data) == key.public
    assert repr(key) == f"NodeKey(<secret of {key.public.id.hex()}>)"
    assert NodeKey.generate(os.urandom).public != key.public


def test_flower_takes_the_key_as_its_own() -> None:
    key = NodeKey.generate(os.urandom)
    private, public = key.pair()
    assert public_key_to_bytes(public) == key.public.pem()
    assert verify_signature(bytes_to_public_key(key.public.pem()), b"now", sign_message(private, b"now"))


def test_a_roster_takes_the_key_that_the_site_certified_and_no_other() -> None:
    good = certificate(SITE)
    assert NodeCertificate.from_bytes(good.to_bytes()) == good
    entry = RosterEntry("a", SITE.public.sign, 1, good)
    other = RosterEntry("b", OTHER_SITE.public.sign, 1, certificate(OTHER_SITE))
    assert len(Roster([entry, other]).entries) == 2
    node = NodeKey.generate(os.urandom)
    for site, keys, wrong in (
        ("b", SITE, good),  # certified for another site id
        ("a", OTHER_SITE, good),  # by another site's signing key
        ("a", SITE, NodeCertificate(node.public, good.signature)),
        ("a", SITE, NodeCertificate(good.key, bytes(64))),
        ("a", SITE, NodeCertificate(node.public, SITE.sign.sign(b"covey-1 plan", b"a" + node.public.data))),
    ):
        with pytest.raises(NodeKeyInvalid, match="did not sign it"):
            RosterEntry(site, keys.public.sign, 1, wrong)


def test_one_node_key_is_not_two_sites() -> None:
    node = NodeKey.generate(os.urandom)
    entries = [
        RosterEntry(site, keys.public.sign, 1, node.certify(site, keys.sign))
        for site, keys in (("a", SITE), ("b", OTHER_SITE))
    ]
    with pytest.raises(PartyInvalid, match=r"node key .* is on the roster twice"):
        Roster(entries)


def test_other_bytes_are_no_node_key() -> None:
    good = certificate(SITE).to_bytes()
    for wrong in (b"", good[:-1], good + b"\0", b"\x05" + good[1:], b"\x02" + b"\xff" * 48 + good[49:]):
        with pytest.raises(NodeKeyInvalid):
            NodeCertificate.from_bytes(wrong)
    for secret in (b"", bytes(48), b"\xff" * 48, b"\1" * 47):
        with pytest.raises(NodeKeyInvalid):
            NodeKey(secret)
