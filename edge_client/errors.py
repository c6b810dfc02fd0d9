"""The error tree of a site. Errors depend on schema and files, never on the values of single events."""

from __future__ import annotations

from base.disk import mend_of
from base.errors import FAILURE, NOT_FOUND, USAGE, CoveyError


class EdgeError(CoveyError):
    """The root of a site's errors."""

    exit_code = USAGE


class EventsError(EdgeError):
    """The events of a source cannot be used: they are unreadable, lack a needed column, or the files are unlike each other.

    Args:
        quoted: a part of the message that quotes a value of the events, for the person who reads them. No log has it.
    """

    def __init__(self, message: str, quoted: str = "") -> None:
        self._logged = message.replace(quoted, "(not shown)") if quoted else message
        super().__init__(message)

    @property
    def logged(self) -> str:
        """The message without a value of the events."""
        return self._logged


class EventFilesAway(EventsError):
    """There is no file of events, or one cannot be opened. It may recover."""


class EventColumnError(EventsError):
    """A column of the events has a type that its use does not allow, or times that cannot be parsed."""

    def __init__(self, column: str, message: str, quoted: str = "") -> None:
        self.column = column
        super().__init__(f"column {column!r}: {message}", quoted)


class SourceAway(EdgeError):
    """A site's source cannot be read now: it is missing, locked, slow or refuses. It may recover, so nothing is lost.

    Attributes:
        url: the source, as the site's file names it.
        why: the cause and its mend, in words for the site's operator. It holds no value of an event.
    """

    exit_code = FAILURE

    def __init__(self, url: str, why: str) -> None:
        self.url, self.why = url, why
        super().__init__(f"the source {url} cannot be read now: {why}")


class LogError(EdgeError):
    """The root of the errors of event logs. Each names the log's file."""

    exit_code = FAILURE


class LogMissing(LogError):
    """The event log that shall be read does not exist."""

    exit_code = NOT_FOUND

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"{path}: there is no such event log. The program or the stream that fills it creates it when it starts"
        )


class LogFull(LogError):
    """An event log has no room for a batch. Nothing of the batch was stored.

    Attributes:
        have: bytes that the log takes now; need: those that it would take; size: those that it may take.
    """

    def __init__(self, path: str, have: int, need: int, size: int) -> None:
        self.path, self.have, self.need, self.size = path, have, need, size
        super().__init__(
            f"{path} is full: it has {have / 1e6:,.1f} MB, needs {need / 1e6:,.1f} MB with this batch, and `size` "
            f"allows {size / 1e6:,.1f} MB. Raise `size`, lower `days`, or let `when_full` be 'drop-oldest'"
        )


class LogWriteFailed(LogError):
    """An event log could not be opened or written, for example on a full disk. It holds what it held before.

    Attributes:
        reason: `disk full`, or the operating system's message.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} could not be written ({reason}), and holds what it held before. First {mend_of(reason)}, then repeat"
        )


class LogBroken(LogError):
    """The file of an event log is damaged, was edited, or is another file."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} is not a whole event log: {why}. Move it away; the source can fill a new one")


class LogKeyWrong(LogError):
    """The key of an event log is missing, of another log, or cannot be used. The log was not changed."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(
            f"{path}: {why}. Open the log with the key that it was made with, or without one if it had none. If the key is lost, "
            "the events cannot be read: move the log away, and a new one begins"
        )


class LogSettingsDiffer(LogError):
    """A program opens an event log with other settings than those with which it was made.

    Attributes:
        setting: its name; have: what the log has; given: what the program gave.
    """

    exit_code = USAGE

    def __init__(self, path: str, setting: str, have: str | None, given: str | None) -> None:
        self.path, self.setting, self.have, self.given = path, setting, have, given
        super().__init__(
            f"{path} was made with {setting} = {have!r}, and is opened with {given!r}. Use the same, or another file"
        )


class EncryptionFailed(EdgeError):
    """A process that encrypts reports ended early."""

    exit_code = FAILURE

    def __init__(self) -> None:
        super().__init__("a process that encrypts reports ended early, perhaps out of memory; run the command again")


class PolicyMissing(EdgeError):
    """The policy file of a site or project does not exist."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path}: there is no such file; without a policy a site answers no plan")


class SiteFileMissing(EdgeError):
    """The configuration file of a site does not exist."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path}: there is no such file; it names the site's source, keys, ledger and policy")


class SiteFileOutdated(EdgeError):
    """An earlier version of Covey wrote the configuration file of a site."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"an earlier version of Covey wrote {path}: its entry `events` is now `url` of a section [source]"
        )


class SuperLinkError(EdgeError):
    """The connection of a site to its SuperLink does not work."""

    exit_code = FAILURE


class SuperLinkAway(SuperLinkError):
    """The SuperLink does not answer, or its answer is not one of a SuperLink. It may recover."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(f"the SuperLink at {address} does not answer: {why}")


class SuperLinkUntrusted(SuperLinkError):
    """The server at the SuperLink's address has no certificate of a trusted authority for this address."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(
            f"the SuperLink at {address} is not authenticated: {why}. Its operator renews its certificate, or gives you "
            "coordinator.pub over a trusted channel"
        )


class NodeKeyUnknown(SuperLinkError):
    """The SuperLink authenticates nodes and does not know this one."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"the SuperLink at {address} does not accept this site's node key. Is another process of the site running? Otherwise "
            "its operator adds the key to covey.toml and starts the SuperLink again"
        )


class SiteClockApart(SuperLinkError):
    """The SuperLink rejects this site's requests, because the clocks of both machines differ too much. It may recover.

    Attributes:
        ahead_s: how far this machine's clock is ahead; negative: behind.
    """

    def __init__(self, address: str, ahead_s: float) -> None:
        self.address, self.ahead_s = address, ahead_s
        where = "ahead of" if ahead_s > 0 else "behind"
        super().__init__(
            f"the SuperLink at {address} rejects this site's requests: the clock of this machine is {abs(ahead_s):,.0f} s {where} "
            "the SuperLink's, and each request is signed with its time. Correct the wrong clock"
        )


class RunOver(SuperLinkError):
    """The run that sent the message has ended. The SuperLink accepts no answer to it."""

    def __init__(self) -> None:
        super().__init__("the run has ended; the SuperLink did not accept the answer")


class MessageRefused(SuperLinkError):
    """A message that is not a plan: too large, changed on the way, or of another kind. Nothing of it was executed."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"refused a message: {why}")
