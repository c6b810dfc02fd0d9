"""The errors of a site, in one tree. None of them depends on what single events hold, only on schema and files."""

from __future__ import annotations

from base.errors import FAILURE, USAGE, CoveyError


class EdgeError(CoveyError):
    """Anything that a site refuses or cannot do."""

    exit_code = USAGE


class EventsError(EdgeError):
    """The event file cannot be used: missing, empty, unreadable, or without a column that is needed."""


class EventColumnError(EventsError):
    """A column of the events has a type that its use does not allow, or times that cannot be parsed."""

    def __init__(self, column: str, message: str) -> None:
        self.column = column
        super().__init__(f"column {column!r}: {message}")


class EncryptionFailed(EdgeError):
    """A process that encrypts reports has ended before it had them all."""

    exit_code = FAILURE

    def __init__(self) -> None:
        super().__init__("a process that encrypts reports ended early, perhaps out of memory; run the command again")


class PolicyMissing(EdgeError):
    """No policy where a site's file, or a project, has one."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path}: there is no such file, so no plan is allowed")


class SiteFileMissing(EdgeError):
    """No configuration file of a site."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path}: there is no such file, so it is unknown where the site's events and keys are")


class SuperLinkError(EdgeError):
    """The connection of a site to its SuperLink does not work."""

    exit_code = FAILURE


class SuperLinkAway(SuperLinkError):
    """It does not answer, or not as a SuperLink does. It may be back in a moment."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(f"the SuperLink at {address} does not answer: {why}")


class SuperLinkUntrusted(SuperLinkError):
    """Whoever listens there does not have the key of the pinned certificate."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(
            f"the SuperLink at {address} does not have the pinned certificate: {why}. Get keys/superlink.crt from the "
            "coordinator's operator over a trusted channel"
        )


class NodeKeyUnknown(SuperLinkError):
    """The SuperLink authenticates nodes, and takes this one for nobody."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(
            f"the SuperLink at {address} does not know this site's node key. Its operator adds the key to covey.toml and starts "
            "the SuperLink again. Check the clock of this machine, too: the SuperLink rejects requests that are more than five "
            "minutes off"
        )


class RunOver(SuperLinkError):
    """The run that asked has ended: its answer is not taken any more."""

    def __init__(self) -> None:
        super().__init__("the run has ended; the SuperLink did not accept the answer")


class MessageRefused(SuperLinkError):
    """A message that is no plan: too large, changed on the way, or of another kind. Nothing of it was run."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"a message was refused: {why}")
