"""The certificate of the feature server, and those of its clients, for HTTP and gRPC. Running servers take replaced files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from base.file_stamps import stamp_of
from base.tls.files import read_public
from base.tls.links import OwnCertificate
from base.tls.trust import Trust


@dataclass(frozen=True)
class ServerTls:
    """The files of a server's certificate: a `ServerIdentity` of `base.tls.contexts`.

    Attributes:
        certificate, key: PEM; the key is of an elliptic curve, and only its owner may read it.
        authority: the authorities of the clients' certificates; None: clients need none.
    """

    certificate: Path
    key: Path
    authority: Path | None = None

    def own(self) -> OwnCertificate:
        """Certificate and key, as the files are now. Raises CertificateMissing, CertificateMalformed, KeyNotPrivate."""
        return OwnCertificate.read(self.certificate, self._keys(), "the feature server")

    def require_usable(self, now: datetime) -> OwnCertificate:
        """The certificate, if it is valid now. Raises CertificateExpired, CertificateNotYetValid, and as `own` and `clients`."""
        own = self.own()
        own.certificate.require_time(now)
        self.clients()
        return own

    def clients(self) -> Trust | None:
        """The authorities of the clients, as the file is now. Raises CertificateMissing, CertificateMalformed."""
        if self.authority is None:
            return None
        text = read_public(self.authority, "it has the authorities that may issue the certificates of clients")
        return Trust.parse(text, str(self.authority))

    def stamp(self) -> object:
        """A value that changes when one of the files changes."""
        return stamp_of(self.certificate, *self._keys(), *(() if self.authority is None else (self.authority,)))

    def clients_stamp(self) -> object:
        """A value that changes when the file of the clients' authorities changes."""
        return None if self.authority is None else stamp_of(self.authority)

    def _keys(self) -> tuple[Path, Path]:
        """The key, and the one of a replacement that did not end (see `base.tls.files`)."""
        return self.key, self.key.with_name(f"{self.key.name}.next")
