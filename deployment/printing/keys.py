"""The public keys of a project: those of its roles, those that `covey.toml` pins, and the authorities that it trusts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from base.tls.files import trust_path
from base.tls.roles import TlsRole
from base.tls.trust import Trust
from deployment.project.folders import KEYS
from deployment.project.key_pins import pinned_keys
from deployment.project.project import FILE, Project
from federation.errors import KeyFileMissing
from federation.keys import load_keys, public_as_dict, roles_in
from federation.parties import PublicKeys

from .output import Output
from .tables import Table


@dataclass(frozen=True)
class ShownKeys:
    """What operators compare with each other.

    Attributes:
        own: the keys of the roles whose secrets are here.
        pinned: the keys of every role that `covey.toml` names; empty without the file.
        trusted: the authorities that may issue a role's certificate.
    """

    own: Mapping[str, PublicKeys]
    pinned: Mapping[str, PublicKeys]
    trusted: Mapping[TlsRole, Trust]

    @classmethod
    def read(cls, directory: Path) -> ShownKeys:
        """The public keys of a project.

        Raises:
            KeyFileMissing: it has none. ConfigInvalid, CertificateMalformed.
        """
        folder, project = directory / KEYS, Project.find(directory)
        own = {role: load_keys(folder, role).public for role in roles_in(folder)}
        if project is None and not own:
            raise KeyFileMissing(str(folder))
        trusted = {role: Trust.load(folder, role) for role in TlsRole if trust_path(folder, role).exists()}
        return cls(own, {} if project is None else pinned_keys(project), trusted)

    def to_json(self) -> dict[str, object]:
        """The result of `covey keys show` as JSON."""
        return {
            "own": [public_as_dict(*one) for one in self.own.items()],
            "pinned": [public_as_dict(*one) for one in self.pinned.items()],
            "authorities": [
                {"role": role.value, "sha256": one.fingerprint, "until": one.until.isoformat()}
                for role, trust in self.trusted.items()
                for one in trust.authorities
            ],
        }

    def print(self, out: Output) -> None:
        """Print the ids of the keys, and the SHA-256 of each authority."""
        table = Table("role", "from", "signing key", "seal key", "node key")
        for role in dict.fromkeys((*self.pinned, *self.own)):
            own, pinned = self.own.get(role), self.pinned.get(role)
            if own is not None and pinned is not None and _ids(own) == _ids(pinned):
                table.add_row(role, f"{FILE}, {KEYS}/", *_ids(pinned))
                continue
            for source, keys in ((FILE, pinned), (f"{KEYS}/", own)):
                if keys is not None:
                    table.add_row(role, source, *_ids(keys))
        out.table(table)
        if self.trusted:
            authorities = Table("certificates of", "authority (SHA-256)", "until")
            for tls_role, trust in self.trusted.items():
                for one in trust.authorities:
                    authorities.add_row(tls_role, one.fingerprint, f"{one.until:%Y-%m-%d}")
            out.table(authorities)


def _ids(keys: PublicKeys) -> tuple[str, str, str]:
    seal = "" if keys.seal is None else keys.seal.id.hex()
    return keys.sign.id.hex(), seal, "" if keys.node is None else keys.node.key.id.hex()
