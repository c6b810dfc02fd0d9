"""The keys of a role on disk: `keys/<role>.key`, one line, mode 0600, in a folder of mode 0700; `<role>.pub` to hand out.

    covey-private-1 leader <base64: 32 bytes signing seed, 32 bytes seal seed>
    covey-public-1 leader <base64: 32 bytes Ed25519, 1,216 bytes ML-KEM-768 and X25519>

Every role has both kinds of keys, though a site and the coordinator only sign. A site has a third one, which it connects
to a SuperLink with: 48 bytes more of secret, and 113 bytes more to hand out, the key and its certificate. Files are read
as strictly as bytes from the network: parsed, written again, and equal.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crypto.errors import CryptoError
from crypto.seal import SEAL_PUBLIC_BYTES, SEAL_SEED_BYTES, SealKey, SealPublicKey
from crypto.signing import SIGNING_SEED_BYTES, VERIFY_KEY_BYTES, SigningKey, VerifyKey

from .errors import KeyFileExists, KeyFileExposed, KeyFileMalformed, KeyFileMissing, NodeKeyInvalid, PartyInvalid
from .node_keys import NODE_CERTIFICATE_BYTES, NODE_SECRET_BYTES, NodeCertificate, NodeKey
from .parties import PublicKeys, require_site_id

ROLES: Final = ("coordinator", "collector", "leader", "helper")
SITE_PREFIX: Final = "site-"

_PRIVATE, _PUBLIC = "covey-private-1", "covey-public-1"
_LINE: Final = re.compile(r"(\S+) (\S+) ([A-Za-z0-9+/]+=*)\n")
_MAX_BYTES: Final = 4_096
_SECRET_BYTES: Final = SIGNING_SEED_BYTES + SEAL_SEED_BYTES
_PUBLIC_BYTES: Final = VERIFY_KEY_BYTES + SEAL_PUBLIC_BYTES


def site_role(site: str) -> str:
    """The role of a site, `site-<id>`. Raises PartyInvalid."""
    return SITE_PREFIX + require_site_id(site)


def require_role(role: str) -> str:
    """The same text, if it is the name of a role. Raises PartyInvalid."""
    if role not in ROLES:
        if not role.startswith(SITE_PREFIX):
            raise PartyInvalid(f"no role {role[:80]!r}; roles are {', '.join(ROLES)} and {SITE_PREFIX}<id>")
        require_site_id(role.removeprefix(SITE_PREFIX))
    return role


def _site_of(role: str) -> str:
    """The site whose role it is; empty for any other role."""
    return role.removeprefix(SITE_PREFIX) if role.startswith(SITE_PREFIX) else ""


@dataclass(frozen=True, eq=False)
class RoleKeys:
    """A role's private keys. **Secret**; the `repr` tells the public ids only.

    Attributes:
        node: of a site, and of a site only: what it connects to a SuperLink with.
    """

    role: str
    sign: SigningKey
    seal: SealKey
    node: NodeKey | None = None

    @classmethod
    def generate(cls, role: str, randomness: Callable[[int], bytes]) -> RoleKeys:
        """Fresh keys; `randomness` is `os.urandom`, or a seeded stream in tests."""
        sign, seal = SigningKey(randomness(SIGNING_SEED_BYTES)), SealKey(randomness(SEAL_SEED_BYTES))
        return cls(role, sign, seal, NodeKey.generate(randomness) if _site_of(require_role(role)) else None)

    @property
    def public(self) -> PublicKeys:
        """What everybody may know."""
        node = None if self.node is None else self.node.certify(_site_of(self.role), self.sign)
        return PublicKeys(self.sign.public, self.seal.public, node)


def create_folder(folder: Path, keys: Iterable[RoleKeys]) -> None:
    """Make `folder` with the keys of some roles in it, all or nothing.

    Raises:
        KeyFileExists: it is there already.
    """
    if folder.exists():
        raise KeyFileExists(str(folder))
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))  # mode 0700
    try:
        for each in keys:
            write_keys(made, each)
        made.rename(folder)  # fails where a folder with content appeared meanwhile
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def write_keys(folder: Path, keys: RoleKeys) -> None:
    """Add a role's two files to a folder of mode 0700.

    Raises:
        KeyFileExists, KeyFileMissing (no folder), KeyFileExposed (the folder's mode).
    """
    _require_private_folder(folder)
    node = b"" if keys.node is None else keys.node.secret_bytes()
    secret = keys.sign.secret_bytes() + keys.seal.secret_bytes() + node
    _write_new(_private_path(folder, keys.role), _line(_PRIVATE, keys.role, secret), 0o600)
    _write_new(folder / f"{keys.role}.pub", public_line(keys.role, keys.public), 0o644)


def load_keys(folder: Path, role: str) -> RoleKeys:
    """The private keys of a role.

    Raises:
        KeyFileMissing, KeyFileExposed, KeyFileMalformed: with the path and what is wrong.
    """
    path = _private_path(folder, require_role(role))
    _require_private_folder(folder)
    found, secret = _parse(_read_private(path), _PRIVATE, _SECRET_BYTES, NODE_SECRET_BYTES, str(path))
    if found != role:
        raise KeyFileMalformed(str(path), f"it holds the keys of {found}, not of {role}")
    sign, seal, node = secret[:SIGNING_SEED_BYTES], secret[SIGNING_SEED_BYTES:_SECRET_BYTES], secret[_SECRET_BYTES:]
    try:
        return RoleKeys(role, SigningKey(sign), SealKey(seal), NodeKey(node) if node else None)
    except NodeKeyInvalid as error:
        raise KeyFileMalformed(str(path), error.why) from None


def roles_in(folder: Path) -> tuple[str, ...]:
    """The roles that have a private key file in the folder, in order of name; other files are not looked at."""
    stems = (path.stem for path in folder.glob("*.key")) if folder.is_dir() else ()
    return tuple(sorted(stem for stem in stems if stem in ROLES or stem.startswith(SITE_PREFIX)))


def public_line(role: str, keys: PublicKeys) -> str:
    """A role's public keys as one line of text, to hand out."""
    return _line(_PUBLIC, role, keys.sign.data + keys.seal.data + _node_bytes(keys))


def public_from_line(text: str, source: str = "public key") -> tuple[str, PublicKeys]:
    """Role and keys of such a line, a site's node key checked; `source` is told in errors. Raises KeyFileMalformed."""
    role, data = _parse(text, _PUBLIC, _PUBLIC_BYTES, NODE_CERTIFICATE_BYTES, source)
    try:
        sign, seal = VerifyKey(data[:VERIFY_KEY_BYTES]), SealPublicKey(data[VERIFY_KEY_BYTES:_PUBLIC_BYTES])
        if not (site := _site_of(role)):
            return role, PublicKeys(sign, seal)
        node = NodeCertificate.from_bytes(data[_PUBLIC_BYTES:])
        node.verify(site, sign)
    except CryptoError as error:
        raise KeyFileMalformed(source, str(error)) from None
    except NodeKeyInvalid as error:
        raise KeyFileMalformed(source, error.why) from None
    return role, PublicKeys(sign, seal, node)


def public_as_dict(role: str, keys: PublicKeys) -> dict[str, str]:
    """A role's public keys for JSON and TOML: base64, with the ids that messages name them by in hex."""
    found = {
        "role": role,
        "sign": base64.b64encode(keys.sign.data).decode("ascii"),
        "seal": base64.b64encode(keys.seal.data).decode("ascii"),
        "sign_id": keys.sign.id.hex(),
        "seal_id": keys.seal.id.hex(),
    }
    if keys.node is not None:
        found |= {"node": base64.b64encode(_node_bytes(keys)).decode("ascii"), "node_id": keys.node.key.id.hex()}
    return found


def _node_bytes(keys: PublicKeys) -> bytes:
    return b"" if keys.node is None else keys.node.to_bytes()


def _line(tag: str, role: str, data: bytes) -> str:
    return f"{tag} {role} {base64.b64encode(data).decode('ascii')}\n"


def _parse(text: str, tag: str, length: int, of_node: int, source: str) -> tuple[str, bytes]:
    """Role and bytes of a line that `_line` would write. No error shows the content: it may be a secret.

    Args:
        length, of_node: how many bytes every role has, and how many a site has beyond these.
    """
    match = _LINE.fullmatch(text)
    if match is None or match[1] != tag:
        raise KeyFileMalformed(source, f"not one line `{tag} ROLE BASE64`")
    try:
        role, data = require_role(match[2]), base64.b64decode(match[3], validate=True)
    except (PartyInvalid, ValueError):
        raise KeyFileMalformed(source, "neither a role nor base64") from None
    need = length + (of_node if _site_of(role) else 0)
    if len(data) != need:
        raise KeyFileMalformed(source, f"{len(data)} bytes of keys, need {need}")
    if _line(tag, role, data) != text:
        raise KeyFileMalformed(source, "the base64 is not canonical")
    return role, data


def _private_path(folder: Path, role: str) -> Path:
    return folder / f"{role}.key"


def _require_private_folder(folder: Path) -> None:
    try:
        found = folder.stat()
    except FileNotFoundError:
        raise KeyFileMissing(str(folder)) from None
    if not stat.S_ISDIR(found.st_mode):
        raise KeyFileMalformed(str(folder), "not a folder")
    if (mode := stat.S_IMODE(found.st_mode)) & 0o077:
        raise KeyFileExposed(str(folder), mode, 0o700)


def _write_new(path: Path, text: str, mode: int) -> None:
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise KeyFileExists(str(path)) from None
    with os.fdopen(number, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(number)


def _read_private(path: Path) -> str:
    """The text of a private file. The mode is that of the file that was opened; a link or a pipe is refused."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyFileMissing(str(path)) from None
    except OSError as error:
        raise KeyFileMalformed(str(path), f"cannot be opened as a file ({error.strerror})") from None
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise KeyFileMalformed(str(path), "not a file")
        if (mode := stat.S_IMODE(found.st_mode)) & 0o177:
            raise KeyFileExposed(str(path), mode, 0o600)
        data = os.read(number, _MAX_BYTES + 1)
    finally:
        os.close(number)
    if len(data) > _MAX_BYTES:
        raise KeyFileMalformed(str(path), f"over {_MAX_BYTES:,} bytes")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise KeyFileMalformed(str(path), "not text") from None
