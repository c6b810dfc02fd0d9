"""`keys/<role>.pub`, which a role's operator hands out: its keys, how they replaced earlier ones, and its authority for TLS.

    covey-public-2 leader <base64: see keys.py>
    covey-handover-1 leader <base64: former key ‖ new key ‖ SHA-256 of the new line ‖ change-over, µs (u64 BE) ‖ signature>
    -----BEGIN CERTIFICATE----- …

Each handover is signed by the former key. So whoever has pinned it can verify the new keys without asking anybody.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from base.tls.trust import Trust
from crypto.errors import CryptoError, SignatureInvalid
from crypto.signing import SIGNATURE_BYTES, VERIFY_KEY_BYTES, SigningKey, VerifyKey

from .errors import HandoverInvalid, HandoverMissing, KeyFileMalformed
from .former_keys import FormerKey
from .keys import RoleKeys, public_from_line, public_line
from .parties import PublicKeys

MAX_BYTES: Final = 2**16
_TAG: Final = "covey-handover-1"
_DOMAIN: Final = b"covey-1 handover"
_LINE: Final = re.compile(rf"{_TAG} (\S+) ([A-Za-z0-9+/]+=*)\n")
_DIGEST_BYTES: Final = 32
_UNTIL_BYTES: Final = 8
_BODY_BYTES: Final = 2 * VERIFY_KEY_BYTES + _DIGEST_BYTES + _UNTIL_BYTES
_KEPT: Final = 16
"""The most handovers in a file; older ones are dropped."""


@dataclass(frozen=True)
class Handover:
    """A former key's signature that new keys replace it.

    Attributes:
        digest: SHA-256 of the new keys' public line.
        until_us: the change-over, µs since the epoch (former_keys.py).
    """

    role: str
    former: VerifyKey
    new: VerifyKey
    digest: bytes
    until_us: int
    signature: bytes

    @classmethod
    def sign(cls, role: str, former: SigningKey, new: PublicKeys, until_us: int) -> Self:
        """Run by the role: hand over to new keys."""
        digest = hashlib.sha256(public_line(role, new).encode("ascii")).digest()
        body = _body(former.public, new.sign, digest, until_us)
        return cls(
            role, former.public, new.sign, digest, until_us, former.sign(_DOMAIN, role.encode("ascii") + b"\0" + body)
        )

    def verify(self) -> None:
        """Return if the former key signed it. Raises SignatureInvalid."""
        body = _body(self.former, self.new, self.digest, self.until_us)
        self.former.verify(_DOMAIN, self.role.encode("ascii") + b"\0" + body, self.signature)

    def to_line(self) -> str:
        """The line of the file."""
        data = _body(self.former, self.new, self.digest, self.until_us) + self.signature
        return f"{_TAG} {self.role} {base64.b64encode(data).decode('ascii')}\n"

    @classmethod
    def from_line(cls, line: str, role: str, source: str) -> Self:
        """Parse a line; the signature is not verified. Raises KeyFileMalformed."""
        match = _LINE.fullmatch(line)
        if match is None or match[1] != role:
            raise KeyFileMalformed(source, f"it is not `{_TAG} {role} BASE64`")
        try:
            data = base64.b64decode(match[2], validate=True)
            former, new = (VerifyKey(data[at : at + VERIFY_KEY_BYTES]) for at in (0, VERIFY_KEY_BYTES))
        except (ValueError, CryptoError) as error:
            raise KeyFileMalformed(source, f"its base64 or a key in it is not valid ({error})") from None
        if len(data) != _BODY_BYTES + SIGNATURE_BYTES:
            raise KeyFileMalformed(source, f"it has {len(data)} bytes, need {_BODY_BYTES + SIGNATURE_BYTES}")
        digest, until = data[2 * VERIFY_KEY_BYTES :][:_DIGEST_BYTES], data[_BODY_BYTES - _UNTIL_BYTES : _BODY_BYTES]
        found = cls(role, former, new, digest, int.from_bytes(until, "big"), data[_BODY_BYTES:])
        if found.to_line() != line or found.until_us >= 2**63:
            raise KeyFileMalformed(source, "its base64 is not canonical, or its time is beyond 63 bits")
        return found


@dataclass(frozen=True)
class PublicFile:
    """What a role's operator hands out.

    Attributes:
        handovers: oldest first.
        authority: the operator's authority, which issues its certificates for TLS (base/tls); None: it has none.
    """

    role: str
    keys: PublicKeys
    handovers: tuple[Handover, ...] = ()
    authority: Trust | None = None

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """Read a file; no signature of a handover is verified. Raises KeyFileMalformed, CertificateMalformed."""
        if len(text) > MAX_BYTES:
            raise KeyFileMalformed(source, f"it has more than {MAX_BYTES:,} bytes")
        first, *lines = text.splitlines(keepends=True) or [""]
        role, keys = public_from_line(first, source)
        handovers = list[Handover]()
        while lines and lines[0].startswith(_TAG):
            handovers.append(Handover.from_line(lines.pop(0), role, source))
        pem = "".join(lines)
        return cls(role, keys, tuple(handovers), Trust.parse(pem.encode("ascii"), source) if pem.strip() else None)

    def to_text(self) -> str:
        """The content of the file."""
        lines = [one.to_line() for one in self.handovers]
        pem = "" if self.authority is None else self.authority.pem.decode("ascii")
        return public_line(self.role, self.keys) + "".join(lines) + pem

    def all_replaced(self, source: str) -> tuple[FormerKey, ...]:
        """As `replaced_since`, from the oldest key in the file."""
        return self.replaced_since(self.handovers[0].former, source) if self.handovers else ()

    def replaced_since(self, pinned: VerifyKey, source: str) -> tuple[FormerKey, ...]:
        """The keys from a pinned one to the one before the file's, each with its change-over.

        Raises:
            HandoverMissing: the pinned key has not signed new ones. HandoverInvalid.
        """
        found, at, digest = list[FormerKey](), pinned, b""
        for one in self.handovers:
            if one.former != at:
                continue
            try:
                one.verify()
            except SignatureInvalid:
                raise HandoverInvalid(source, f"the key {one.former.id.hex()} did not sign its handover") from None
            found.append(FormerKey(self.role, at, one.until_us))
            at, digest = one.new, one.digest
        if at != self.keys.sign:
            raise HandoverMissing(self.role, pinned.id.hex(), self.keys.sign.id.hex())
        if digest != hashlib.sha256(public_line(self.role, self.keys).encode("ascii")).digest():
            raise HandoverInvalid(source, "its last handover is about another seal key or node key than the file has")
        return tuple(found)


def public_file_of(keys: RoleKeys, before: PublicFile | None, authority: Trust | None) -> PublicFile:
    """The file of a role's keys, with the handovers of its former keys.

    Args:
        before: the file until now. It has the handovers of keys whose secrets are erased.
    """
    chain = [*(one.keys for one in keys.former), keys]
    signed = [
        Handover.sign(keys.role, one.keys.sign, new.public, one.until_us)
        for one, new in zip(keys.former, chain[1:], strict=True)
    ]
    own, older = {one.former for one in signed}, () if before is None else before.handovers
    kept = [one for one in older if one.former not in own]
    return PublicFile(keys.role, keys.public, (*kept, *signed)[-_KEPT:], authority)


def _body(former: VerifyKey, new: VerifyKey, digest: bytes, until_us: int) -> bytes:
    return former.data + new.data + digest + until_us.to_bytes(_UNTIL_BYTES, "big")
