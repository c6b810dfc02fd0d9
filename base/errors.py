"""The root of every expected error, the exit codes of the commands, and the errors of this layer."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar, Final

DONE: Final = 0
"""The command did what it was asked."""
FAILURE: Final = 1
"""The command failed, or a check found something wrong."""
USAGE: Final = 2
"""Arguments, a configuration or definitions cannot be used as written."""
NOTHING_RELEASED: Final = 3
"""The run ended, and no pane was opened."""
REFUSED: Final = 4
"""A budget, a policy or a rule of the store refuses the request."""
NOT_FOUND: Final = 5
"""The requested thing does not exist."""
INCOMPLETE: Final = 6
"""Fewer sites answered than a collection needs. Nothing of it was opened, and its panes stay due."""
DRIFT: Final = 7
"""`covey monitor --exit-code` found that a view differs from its past."""
INTERRUPTED: Final = 130
"""Ctrl-C ended the command."""


_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class CoveyError(Exception):
    """Every error that Covey raises on purpose. Its numbers are attributes.

    Attributes:
        code: a stable word for programs: the name of the class as UPPER_SNAKE, unless the class sets another one. A class
            that is renamed keeps its code.
        exit_code: the exit code of a command that fails with this error.
    """

    code: ClassVar[str] = "COVEY_ERROR"
    exit_code: ClassVar[int] = FAILURE

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" not in vars(cls):
            cls.code = _WORD.sub("_", cls.__name__).upper()

    @property
    def logged(self) -> str:
        """The text for logs. An error that quotes a value of somebody's events leaves it out here."""
        return str(self)


class LockHeld(CoveyError):
    """Another process holds a lock; names the locked file or folder."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"another process holds the lock on {path}; wait for it to end")


class FileInUse(CoveyError):
    """A database that another process has open, where nothing else may have it open; names the file."""

    exit_code = REFUSED

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"another process has {path} open; stop the roles, servers and commands that use it, then repeat"
        )


class OfOlderVersion(CoveyError):
    """A database that an earlier version of Covey wrote, and that this version can migrate.

    Attributes:
        have: the version of its tables; need: the one of this program.
    """

    def __init__(self, path: str, have: int, need: int) -> None:
        self.path, self.have, self.need = path, have, need
        super().__init__(f"an earlier version of Covey wrote {path} (format {have}; this version uses {need})")


class OfNewerVersion(CoveyError):
    """A database that a later version of Covey wrote. This version neither reads nor changes it.

    Attributes:
        have: the version of its tables; need: the one of this program.
    """

    def __init__(self, path: str, have: int, need: int) -> None:
        self.path, self.have, self.need = path, have, need
        super().__init__(
            f"a later version of Covey wrote {path} (format {have}; this version uses {need}). Install that version; nothing "
            "was changed"
        )


class ConfigInvalid(CoveyError):
    """A configuration file that cannot be used; names the file, the section, the key, the value and the mend."""

    exit_code = USAGE

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class NotPrivate(CoveyError):
    """A file or folder for private data that is a link, or another user's; names the path and what is wrong."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} must be private: {why}. Move it away, or choose another place")


class ExtraMissing(CoveyError):
    """A library of an optional extra is not installed; names who needs it, the library and the extra."""

    def __init__(self, user: str, library: str, extra: str) -> None:
        super().__init__(f"{user} needs {library}, which is not installed: pip install 'covey[{extra}]'")
        self.user, self.library, self.extra = user, library, extra


class TlsError(CoveyError):
    """The root of the errors of certificates and TLS connections. Each names its certificate, file or address."""


class CertificateMissing(TlsError):
    """A certificate, its key or a trust file does not exist."""

    exit_code = NOT_FOUND

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"no {path}: {why}")


class CertificateMalformed(TlsError):
    """A certificate, its key or a trust file cannot be used: cut off, not PEM, or the two do not belong together."""

    def __init__(self, what: str, why: str) -> None:
        self.what, self.why = what, why
        super().__init__(f"{what} cannot be used: {why}")


class KeyNotPrivate(TlsError):
    """The private key of a certificate that other users may read; names the file and its mode."""

    def __init__(self, path: str, mode: int) -> None:
        self.path, self.mode = path, mode
        super().__init__(f"{path} must be private: its mode is {mode:03o}, and must be 600. Run `chmod 600 {path}`")


class CertificateExpired(TlsError):
    """A certificate whose validity has ended.

    Attributes:
        until: the end of its validity; None if the peer's TLS library did not say.
    """

    def __init__(self, what: str, until: datetime | None = None) -> None:
        self.what, self.until = what, until
        when = "" if until is None else f" at {until:%Y-%m-%d %H:%M} UTC"
        super().__init__(f"{what} expired{when}, so every peer refuses it")


class CertificateNotYetValid(TlsError):
    """A certificate whose validity begins in the future, or a clock that is slow.

    Attributes:
        since: the start of its validity; None if the peer's TLS library did not say.
    """

    def __init__(self, what: str, since: datetime | None = None) -> None:
        self.what, self.since = what, since
        when = "" if since is None else f" before {since:%Y-%m-%d %H:%M} UTC"
        super().__init__(f"{what} is not valid yet{when}; compare the clocks of both machines")


class CertificateUntrusted(TlsError):
    """A certificate that no trusted authority issued: self-made, of another operator, or of an authority rotated away."""

    def __init__(self, what: str, trust: str) -> None:
        self.what, self.trust = what, trust
        super().__init__(f"{what} was not issued by an authority in {trust}")


class CertificateOfAnotherRole(TlsError):
    """A certificate that does not name the role in which it is used.

    Attributes:
        wanted: the role; None: the certificate must name one role, and it names none, several, or one that does not exist.
    """

    def __init__(self, what: str, wanted: str | None) -> None:
        self.what, self.wanted = what, wanted
        super().__init__(
            f"{what} does not name one role of Covey, so its holder may not act as any"
            if wanted is None
            else f"{what} is not for the role {wanted}, so its holder may not act as {wanted}"
        )


class CertificateOfAnotherHost(TlsError):
    """A certificate that does not name the host by which its holder was reached."""

    def __init__(self, what: str, host: str) -> None:
        self.what, self.host = what, host
        super().__init__(f"{what} does not name {host}, so another machine may have answered")


class CertificateRefused(TlsError):
    """The peer refused this side's certificate; its log says why."""

    def __init__(self, path: str, peer: str, why: str) -> None:
        self.path, self.peer, self.why = path, peer, why
        super().__init__(f"{peer} refuses {path}: {why}")


class TlsVersionRefused(TlsError):
    """A peer that does not speak TLS 1.3."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        super().__init__(f"{peer} does not speak TLS 1.3, and no older version is accepted; its operator upgrades it")


class PeerSpeaksClearText(TlsError):
    """A peer that answers without TLS where TLS is expected."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        super().__init__(f"{peer} speaks without TLS: its project has no certificate for its role")


class PeerSpeaksTls(TlsError):
    """A peer that expects TLS where this side has no certificate."""

    def __init__(self, peer: str, path: str) -> None:
        self.peer, self.path = peer, path
        super().__init__(f"{peer} expects TLS, but this project has no {path}")


class ClearTextRefused(TlsError):
    """A connection without TLS that would leave this machine.

    Attributes:
        role: the role here that has no certificate.
    """

    exit_code = USAGE

    def __init__(self, address: str, role: str, path: str) -> None:
        self.address, self.role, self.path = address, role, path
        super().__init__(
            f"{address} is not a loopback address, and there is no {path}: without TLS, others on the network could read and "
            "change messages"
        )


class PeerError(CoveyError):
    """The root of the errors of peers that fail for another reason than TLS.

    Attributes:
        role: the peer's role, as the commands name it.
        address: where it was called, `host:port`.
    """

    def __init__(self, role: str, address: str, text: str) -> None:
        self.role, self.address = role, address
        super().__init__(text)


class PeerAway(PeerError):
    """A peer to which no connection can be made."""

    def __init__(self, role: str, address: str, why: str) -> None:
        self.why = why
        super().__init__(role, address, f"the {role} at {address} cannot be reached: {why}")


class PeerSilent(PeerError):
    """A peer that accepts connections and never answers: it hangs, or another program holds its port."""

    def __init__(self, role: str, address: str, limit_s: float) -> None:
        self.limit_s = limit_s
        text = f"the {role} at {address} accepts connections, but does not answer within {limit_s:g} s"
        super().__init__(role, address, text)


class PeerSlow(PeerError):
    """A peer that begins its answers, or whose machine accepts connections, but that completes no answer in time."""

    def __init__(self, role: str, address: str, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(
            role, address, f"the {role} at {address} is too slow: it needs more than {limit_s:g} s for an answer"
        )


class PeerFloods(PeerError):
    """A peer that sends more than an answer may have. The rest is not read."""

    def __init__(self, role: str, address: str, most: int) -> None:
        self.most = most
        text = (
            f"the {role} at {address} sends more than the {most:,} bytes that an answer may have; the rest was not read"
        )
        super().__init__(role, address, text)


class PeerSpeaksAnotherProtocol(PeerError):
    """A program that is not a service of Covey, at the address of one."""

    def __init__(self, role: str, address: str) -> None:
        text = f"the program at {address} does not speak HTTP/2, so it is not the {role}"
        super().__init__(role, address, text)


def exit_code(error: BaseException) -> int | None:
    """The exit code of an expected error; None for a defect."""
    if isinstance(error, CoveyError):
        return error.exit_code
    return FAILURE if isinstance(error, OSError) else None
