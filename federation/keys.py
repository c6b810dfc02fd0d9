"""The keys of a role on disk: `keys/<role>.key`, one line, mode 0600, in a folder of mode 0700; `<role>.pub` for others.

    covey-private-2 leader <base64: 32 bytes signing seed>
    covey-public-2 leader <base64: 32 bytes Ed25519>
    -----BEGIN CERTIFICATE-----                       the operator's authority (base/tls), where the role has TLS

`<role>.former` (mode 0600) has the keys that a rotation has replaced, oldest first, for the plans that have them
(former_keys.py): `covey-former-2 <change-over, µs> <role> <base64>`.

Every role has a signing key. The collector also has a seal key (ML-KEM-768 and X25519): 32 more secret bytes, 1,216 more
public bytes. Leader and helper have seal keys for each plan (live_keys.py), not in these files. A site also has a node key,
with which it connects to a SuperLink: 48 more secret bytes, and 113 more public bytes, the key and its certificate. Files
are read as strictly as bytes from the network: a parsed file, written again, must give the same bytes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from base.atomic_files import created_folder, replace_file
from base.disk import sync_folder
from base.private_files import create_private
from crypto.errors import CryptoError
from crypto.seal import SEAL_PUBLIC_BYTES, SEAL_SEED_BYTES, SealKey, SealPublicKey
from crypto.signing import SIGNING_SEED_BYTES, VERIFY_KEY_BYTES, SigningKey, VerifyKey

from .errors import (
    KeyFileExists,
    KeyFileMalformed,
    KeyFileMissing,
    KeyFileOutdated,
    NodeKeyInvalid,
    PartyInvalid,
)
from .former_keys import FormerKey, PinnedKey
from .node_keys import NODE_CERTIFICATE_BYTES, NODE_SECRET_BYTES, NodeCertificate, NodeKey
from .parties import PublicKeys, require_site_id
from .private_key_file import read_private, require_private_folder

ROLES: Final = ("coordinator", "collector", "leader", "helper")
SITE_PREFIX: Final = "site-"

SEALED_TO: Final = "collector"
"""The only role with a permanent seal key."""

_PRIVATE, _PUBLIC, _FORMER = "covey-private-2", "covey-public-2", "covey-former-2"
_UNTIL: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_OLDER: Final = ("covey-private-1", "covey-public-1")
_LINE: Final = re.compile(r"(\S+) (\S+) ([A-Za-z0-9+/]+=*)\n")


def site_role(site: str) -> str:
    """The role of a site, `site-<id>`. Raises PartyInvalid."""
    return SITE_PREFIX + require_site_id(site)


def require_role(role: str) -> str:
    """The same text, if it is the name of a role. Raises PartyInvalid."""
    if role not in ROLES:
        if not role.startswith(SITE_PREFIX):
            raise PartyInvalid(
                f"there is no role {role[:80]!r}; the roles are {', '.join(ROLES)} and {SITE_PREFIX}<id>"
            )
        require_site_id(role.removeprefix(SITE_PREFIX))
    return role


def _site_of(role: str) -> str:
    """The id of the site that has this role; empty for any other role."""
    return role.removeprefix(SITE_PREFIX) if role.startswith(SITE_PREFIX) else ""


@dataclass(frozen=True, eq=False)
class RoleKeys:
    """A role's private keys. **Secret**; the `repr` shows only the public ids.

    Attributes:
        node: the key with which a site connects to a SuperLink; None for any other role.
        former: the keys that these have replaced, oldest first, as long as their secrets are kept.
    """

    role: str
    sign: SigningKey
    _seal: SealKey | None = None
    node: NodeKey | None = None
    former: tuple[FormerSecrets, ...] = ()

    @classmethod
    def generate(cls, role: str, randomness: Callable[[int], bytes]) -> RoleKeys:
        """Fresh keys; `randomness` is `os.urandom`, or a seeded stream in tests."""
        sign = SigningKey(randomness(SIGNING_SEED_BYTES))
        seal = SealKey(randomness(SEAL_SEED_BYTES)) if require_role(role) == SEALED_TO else None
        return cls(role, sign, seal, NodeKey.generate(randomness) if _site_of(role) else None)

    @property
    def seal(self) -> SealKey:
        """The key that opens the noised shares. Raises PartyInvalid: the role is not the collector."""
        if self._seal is None:
            raise PartyInvalid(f"the {self.role} has no seal key: only the {SEALED_TO} has a permanent one")
        return self._seal

    @property
    def secret_bytes(self) -> bytes:
        """All keys, for the key file. **Secret.**"""
        seal = b"" if self._seal is None else self._seal.secret_bytes()
        return self.sign.secret_bytes() + seal + (b"" if self.node is None else self.node.secret_bytes())

    def at(self, deadline_us: int) -> RoleKeys:
        """The role's keys for plans with this deadline."""
        return next((one.keys for one in self.former if deadline_us <= one.until_us), self)

    @property
    def pinned(self) -> PinnedKey:
        """The signing keys, as other parties know them."""
        former = tuple(FormerKey(self.role, one.keys.sign.public, one.until_us) for one in self.former)
        return PinnedKey(self.role, self.sign.public, former)

    @property
    def public(self) -> PublicKeys:
        """The public keys."""
        node = None if self.node is None else self.node.certify(_site_of(self.role), self.sign)
        return PublicKeys(self.sign.public, None if self._seal is None else self._seal.public, node)


@dataclass(frozen=True, eq=False)
class FormerSecrets:
    """Keys of a role that a rotation has replaced. **Secret.**

    Attributes:
        until_us: µs since the epoch, their change-over: they are the role's keys for plans whose deadline is not later.
    """

    keys: RoleKeys
    until_us: int


def create_folder(folder: Path, keys: Iterable[RoleKeys]) -> None:
    """Make `folder` with the keys of some roles in it, all or nothing.

    Raises:
        KeyFileExists: the folder exists.
    """
    if folder.exists():
        raise KeyFileExists(str(folder))
    with created_folder(folder) as made:
        for each in keys:
            write_keys(made, each)


def write_keys(folder: Path, keys: RoleKeys) -> None:
    """Add a role's two files to a folder of mode 0700.

    Raises:
        KeyFileExists. KeyFileMissing: there is no folder. KeyFileExposed: others may enter the folder.
    """
    require_private_folder(folder)
    try:
        with create_private(_private_path(folder, keys.role)) as file:
            file.write(_line(_PRIVATE, keys.role, keys.secret_bytes).encode("ascii"))
        with public_path(folder, keys.role).open("x", encoding="ascii") as to_hand_out:
            to_hand_out.write(public_line(keys.role, keys.public))
    except FileExistsError as error:
        raise KeyFileExists(str(error.filename)) from None


def load_keys(folder: Path, role: str) -> RoleKeys:
    """The private keys of a role.

    Raises:
        KeyFileMissing, KeyFileExposed, KeyFileMalformed: with the path and what is wrong.
    """
    path = _private_path(folder, require_role(role))
    require_private_folder(folder)
    return replace(_secrets(read_private(path), role, str(path)), former=_former(folder, role))


def _secrets(text: str, role: str, source: str) -> RoleKeys:
    """The keys in the line of a private file. Raises KeyFileMalformed."""
    lengths = SIGNING_SEED_BYTES, SEAL_SEED_BYTES, NODE_SECRET_BYTES
    found, (sign, seal, node) = _parse(text, _PRIVATE, lengths, source)
    if found != role:
        raise KeyFileMalformed(source, f"it holds the keys of {found}, not of {role}")
    try:
        return RoleKeys(role, SigningKey(sign), SealKey(seal) if seal else None, NodeKey(node) if node else None)
    except NodeKeyInvalid as error:
        raise KeyFileMalformed(source, error.why) from None


def _former(folder: Path, role: str) -> tuple[FormerSecrets, ...]:
    """The replaced keys of a role; none if there is no such file. Raises KeyFileExposed, KeyFileMalformed."""
    path, found = folder / f"{role}.former", list[FormerSecrets]()
    try:
        text = read_private(path)
    except KeyFileMissing:
        return ()
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        source = f"{path}, line {number}"
        until, space, rest = line.removeprefix(_FORMER).lstrip().partition(" ")
        if not line.startswith(f"{_FORMER} ") or not space or not _UNTIL.fullmatch(until):
            raise KeyFileMalformed(source, f"it is not `{_FORMER} TIME ROLE BASE64`")
        found.append(FormerSecrets(_secrets(f"{_PRIVATE} {rest}", role, source), int(until)))
    return tuple(found)


def write_former(folder: Path, role: str, former: Sequence[FormerSecrets]) -> None:
    """Replace the file with the replaced keys of a role. Without keys there is no file."""
    path = folder / f"{role}.former"
    if not former:
        path.unlink(missing_ok=True)
        sync_folder(folder)
        return
    lines = [
        _line(_PRIVATE, role, one.keys.secret_bytes).replace(_PRIVATE, f"{_FORMER} {one.until_us}", 1) for one in former
    ]
    replace_file(path, "".join(lines), private=True)


def replace_keys(folder: Path, keys: RoleKeys) -> None:
    """Replace the private file of a role. The keys in it must be in the file of replaced keys already, or be lost."""
    replace_file(_private_path(folder, keys.role), _line(_PRIVATE, keys.role, keys.secret_bytes), private=True)


def roles_in(folder: Path) -> tuple[str, ...]:
    """The roles that have a private key file in the folder, in order of name; other files are ignored."""
    stems = (path.stem for path in folder.glob("*.key")) if folder.is_dir() else ()
    return tuple(sorted(stem for stem in stems if stem in ROLES or stem.startswith(SITE_PREFIX)))


def public_path(folder: Path, role: str) -> Path:
    """The file that the role's operator gives to the other operators."""
    return folder / f"{role}.pub"


def public_line(role: str, keys: PublicKeys) -> str:
    """A role's public keys as one line of text, for others."""
    return _line(_PUBLIC, role, keys.sign.data + (b"" if keys.seal is None else keys.seal.data) + _node_bytes(keys))


def public_from_line(text: str, source: str = "public key") -> tuple[str, PublicKeys]:
    """Role and keys of such a line; a site's node key is verified. Errors name `source`. Raises KeyFileMalformed."""
    lengths = VERIFY_KEY_BYTES, SEAL_PUBLIC_BYTES, NODE_CERTIFICATE_BYTES
    role, (of_sign, of_seal, of_node) = _parse(text, _PUBLIC, lengths, source)
    try:
        sign = VerifyKey(of_sign)
        if not (site := _site_of(role)):
            return role, PublicKeys(sign, SealPublicKey(of_seal) if of_seal else None)
        node = NodeCertificate.from_bytes(of_node)
        node.verify(site, sign)
    except CryptoError as error:
        raise KeyFileMalformed(source, str(error)) from None
    except NodeKeyInvalid as error:
        raise KeyFileMalformed(source, error.why) from None
    return role, PublicKeys(sign, node=node)


def public_as_dict(role: str, keys: PublicKeys) -> dict[str, str]:
    """A role's public keys for JSON and TOML: the keys in base64, and the ids that messages show in hex."""
    found = {
        "role": role,
        "sign": base64.b64encode(keys.sign.data).decode("ascii"),
        "sign_id": keys.sign.id.hex(),
    }
    if keys.seal is not None:
        found |= {"seal": base64.b64encode(keys.seal.data).decode("ascii"), "seal_id": keys.seal.id.hex()}
    if keys.node is not None:
        found |= {"node": base64.b64encode(_node_bytes(keys)).decode("ascii"), "node_id": keys.node.key.id.hex()}
    return found


def _node_bytes(keys: PublicKeys) -> bytes:
    return b"" if keys.node is None else keys.node.to_bytes()


def _line(tag: str, role: str, data: bytes) -> str:
    return f"{tag} {role} {base64.b64encode(data).decode('ascii')}\n"


def _parse(text: str, tag: str, lengths: tuple[int, int, int], source: str) -> tuple[str, tuple[bytes, bytes, bytes]]:
    """The role and the bytes of its keys, from a line of `_line`. No error shows the content, because it may be a secret.

    Args:
        lengths: bytes of the key that every role has, of the collector's further key, and of a site's further key.
    """
    match = _LINE.fullmatch(text)
    if match is not None and match[1] in _OLDER:
        raise KeyFileOutdated(source)
    if match is None or match[1] != tag:
        raise KeyFileMalformed(source, f"it is not one line `{tag} ROLE BASE64`")
    try:
        role, data = require_role(match[2]), base64.b64decode(match[3], validate=True)
    except (PartyInvalid, ValueError):
        raise KeyFileMalformed(source, "its role or its base64 is not valid") from None
    sign, seal, node = lengths
    seal, node = seal if role == SEALED_TO else 0, node if _site_of(role) else 0
    if len(data) != sign + seal + node:
        raise KeyFileMalformed(source, f"it has {len(data)} bytes of keys, need {sign + seal + node}")
    if _line(tag, role, data) != text:
        raise KeyFileMalformed(source, "its base64 is not canonical")
    return role, (data[:sign], data[sign : sign + seal], data[sign + seal :])


def _private_path(folder: Path, role: str) -> Path:
    return folder / f"{role}.key"
