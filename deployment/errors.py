"""The errors of a deployment, in one tree. None of them speaks of a command's options: `settings` names the parameters."""

from __future__ import annotations

from base.disk import mend_of
from base.errors import FAILURE, NOT_FOUND, REFUSED, USAGE, CoveyError


class DeploymentError(CoveyError):
    """The root of the errors that commands and public functions raise.

    Attributes:
        settings: the parameters whose values mend the error, by their names in Python. A command names its options for them.
    """

    exit_code = USAGE

    def __init__(self, message: str, *, settings: tuple[str, ...] = ()) -> None:
        self.settings = settings
        super().__init__(message)


class UsageError(DeploymentError):
    """Settings that do not fit together, or a missing prerequisite; the message names the mend."""


class ItemMissing(DeploymentError):
    """The requested file, ledger or release does not exist."""

    code = "NOT_THERE"
    exit_code = NOT_FOUND


class ProjectMissing(ItemMissing):
    """The project's directory has no covey.toml."""

    def __init__(self, path: str, folder: str) -> None:
        self.path, self.folder = path, folder
        super().__init__(f"no {path}; `covey init {folder}` makes a project")


class FolderNotEmpty(DeploymentError):
    """A backup or a restored project needs a folder of its own; nothing was written."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} is not an empty folder; name a new or an empty one, so that nothing is overwritten")


class BackupIncomplete(DeploymentError):
    """A folder without the list that a backup writes last; nothing was restored from it."""

    exit_code = FAILURE

    def __init__(self, folder: str, file: str) -> None:
        self.folder, self.file = folder, file
        super().__init__(
            f"{folder} has no {file}, which a backup writes last: it was cut off, or is no backup. Nothing was written; use "
            "another backup"
        )


class BackupDamaged(DeploymentError):
    """A backup in which a file is missing or changed; nothing was restored from it.

    Attributes:
        file: the first damaged file; why: what is wrong with it; damaged: how many files are.
    """

    exit_code = FAILURE

    def __init__(self, folder: str, file: str, why: str, damaged: int = 1) -> None:
        self.folder, self.file, self.why, self.damaged = folder, file, why, damaged
        more = f", and {damaged - 1} more file(s) are damaged" if damaged > 1 else ""
        super().__init__(f"{folder}: {file}: {why}{more}. Nothing was written; use another backup")


class OriginalDamaged(DeploymentError):
    """A database that cannot be backed up, because it is damaged."""

    exit_code = FAILURE

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(
            f"{path} is damaged ({why}), so there is no backup of it. Put the newest earlier copy back, and keep earlier backups"
        )


class NotWritten(DeploymentError):
    """A backup, a restored folder or a migrated file that could not be written, for example on a full disk. Nothing is lost.

    Attributes:
        path: the file; reason: `disk full`, or the system's message.
    """

    exit_code = FAILURE

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} could not be written ({reason}). Everything is as before; to try again, first {mend_of(reason)}"
        )


class OverBudget(DeploymentError):
    """A run would cost a client-day more than the budget leaves. Nothing was computed; the message names the mend."""

    exit_code = REFUSED


class VerificationUnsuccessful(DeploymentError):
    """At least one release failed verification; the message has the number of failures and the first one."""

    exit_code = FAILURE


class RunFailed(DeploymentError):
    """A run ended before its releases were published."""

    exit_code = FAILURE


class ProcessFailed(RunFailed):
    """A process of the run ended early or did not start; the message names its log."""


class CollectionFailed(RunFailed):
    """The collection ended without a result; the message has the reason or names its log."""


class TrainingRefused(DeploymentError):
    """The labels, or their split, are not sufficient to train or test a model."""


class LineageNotSent(DeploymentError):
    """A collector of OpenLineage events did not take an event.

    Attributes:
        sent: how many events before it were taken.
    """

    exit_code = FAILURE

    def __init__(self, url: str, why: str, sent: int) -> None:
        self.url, self.why, self.sent = url, why, sent
        super().__init__(
            f"the collector at {url} did not take an event ({why}); it took {sent:,} before. Check its address and its log, then "
            "send again: events that it has replace themselves"
        )


class ModelOutdated(DeploymentError):
    """The views or functions of a model have changed since it was trained, or cannot be compared with these settings."""

    exit_code = REFUSED

    def __init__(self, model: str, reason: str, *, settings: tuple[str, ...] = ()) -> None:
        self.model, self.reason = model, reason
        again = ", so its inputs have another meaning now. Train it again: covey train CONFIG.toml"
        super().__init__(f"model {model}: {reason}{'' if settings else again}", settings=settings)


class ModelRefused(DeploymentError):
    """A registered model's file is not as `covey train` writes it. Loading it could run code or give wrong predictions."""

    exit_code = REFUSED

    def __init__(self, model: str, file: str, reason: str, torch: str) -> None:
        self.model, self.file, self.reason, self.torch = model, file, reason, torch
        super().__init__(
            f"model {model}: {file} is refused: {reason}. Its metadata names torch {torch}. Do not load the file elsewhere; "
            "train the model again: covey train CONFIG.toml"
        )


class CodeUntrusted(DeploymentError):
    """A configuration names a Python file, which would be run; the message names the file and the mend."""

    exit_code = REFUSED

    def __init__(self, model: str, key: str, file: str) -> None:
        self.model, self.key, self.file = model, key, file
        super().__init__(
            f"the configuration of model {model}: {key} names {file}, Python code that would run as you. Read it, then trust it",
            settings=("trust",),
        )


class CollectionUnderWay(DeploymentError):
    """Another process collects into the same store. Nothing was charged."""

    exit_code = FAILURE

    def __init__(self, directory: str) -> None:
        self.directory = directory
        super().__init__(
            f"another run or coordinator collects into {directory}; a store has one collection at a time. Wait until it ends"
        )


class CoordinatorReplaced(DeploymentError):
    """The lock file of the running coordinator was removed, so that a second one could start. This one ends."""

    exit_code = FAILURE

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"the lock file {path} was removed while this coordinator runs, so another one may run now. This one ends; nothing "
            "is lost. Start it again"
        )


class ScheduleBroken(DeploymentError):
    """The file of a coordinator's schedule cannot be read."""

    exit_code = FAILURE

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} cannot be read: {reason}. Move it away: a new one begins with the panes that close from now on; collect "
            "earlier ones by a range",
            settings=("start", "end"),
        )


class ScheduleWriteFailed(DeploymentError):
    """The schedule of a coordinator cannot be written. Nothing is lost: the step is repeated."""

    exit_code = FAILURE

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be written: {reason}; {mend_of(reason)}")


class ClocksApart(DeploymentError):
    """An aggregator's clock differs too much from the coordinator's. No plan was announced.

    Attributes:
        skew_s: how far it is ahead; negative: behind.
    """

    exit_code = REFUSED

    def __init__(self, role: str, skew_s: float, most_s: float) -> None:
        self.role, self.skew_s, self.most_s = role, skew_s, most_s
        where = "ahead of" if skew_s > 0 else "behind"
        super().__init__(
            f"the {role}'s clock is {abs(skew_s):,.0f} s {where} this one; at most {most_s:,.0f} s are allowed, because deadlines "
            "and the ends of panes are compared with it. Correct the wrong clock, and start again: nothing was charged"
        )


class VersionsApart(DeploymentError):
    """An aggregator's messages are of another version than the coordinator's. No plan was announced."""

    exit_code = REFUSED

    def __init__(self, role: str, theirs: str, mine: str) -> None:
        self.role, self.theirs, self.mine = role, theirs, mine
        super().__init__(
            f"the {role} runs {theirs}, but this coordinator runs {mine}. Install one version for all roles, and start again: "
            "nothing was charged"
        )


class RunRefused(DeploymentError):
    """Settings of a run that do not fit together; the message names the mend."""


class TooManyClients(RunRefused):
    """A site has more clients than are declared; the message names a sufficient declaration.

    Attributes:
        have: the number of clients in the events. Private: only the owner of the events may see it.
    """

    def __init__(self, site: str, have: int, declared: int) -> None:
        self.site, self.have, self.declared = site, have, declared
        super().__init__(
            f"{site} has {have:,} clients in the events, but each site declares {declared:,}. Other parties see the declared "
            f"number, so it is never derived from the events. Declare more, such as {1 << (have - 1).bit_length()}",
            settings=("site_clients",),
        )


class JobMalformed(DeploymentError):
    """A coordinator's job file or announcement cannot be read."""

    exit_code = FAILURE


class AlreadyUp(UsageError):
    """`covey up` of a project whose deployment runs already. Nothing was changed."""

    def __init__(self, directory: str, pid: int | None) -> None:
        self.directory, self.pid = directory, pid
        by = "" if pid is None else f", supervised by process {pid}"
        super().__init__(
            f"the deployment of {directory} is up already{by}. `covey status` shows its roles; `covey down` stops them first"
        )


class NotUp(ItemMissing):
    """`covey down` of a project whose deployment does not run."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        super().__init__(f"no deployment of {directory} is up; `covey up` starts one")


class PortTaken(UsageError):
    """A role's port belongs to another process."""

    def __init__(self, role: str, address: str, holder: str | None) -> None:
        self.role, self.address, self.holder = role, address, holder
        by = "another process" if holder is None else holder
        super().__init__(
            f"the address {address} of the {role} is in use by {by}. Stop that process, or give the role another port in "
            "[network] of covey.toml"
        )


class DeploymentStateBroken(DeploymentError):
    """A file in roles/up/ cannot be read."""

    exit_code = FAILURE

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be read: {reason}. `covey down`, then `covey up` writes it again")


class RoleKeepsDying(ProcessFailed):
    """A role of a starting deployment ends again and again. The deployment was stopped."""

    def __init__(self, role: str, why: str, log: str) -> None:
        self.role, self.why, self.log = role, why, log
        super().__init__(f"the {role} does not start: {why} (log: {log}). The other roles are stopped again")


class ViewSourceInvalid(DeploymentError):
    """The text of a views file is no Python, so it has no graph.

    Attributes:
        line, column: where, from 1; why: the parser's reason.
    """

    def __init__(self, line: int, column: int, why: str) -> None:
        self.line, self.column, self.why = line, column, why
        super().__init__(f"line {line:,}, column {column:,}: {why}. Correct the text of the views file there")


class ViewSourceTooLarge(DeploymentError):
    """A views file that is too large to be shown as a graph.

    Attributes:
        what: what was counted; have: how many there are; most: how many are allowed.
    """

    exit_code = REFUSED

    def __init__(self, what: str, have: int, most: int) -> None:
        self.what, self.have, self.most = what, have, most
        super().__init__(
            f"the views file has {have:,} {what}, but at most {most:,} are shown. Edit this file as text, or split it"
        )
