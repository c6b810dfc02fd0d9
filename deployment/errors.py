"""The errors of what runs a collection, in one tree."""

from __future__ import annotations

from base.errors import FAILURE, NOT_FOUND, REFUSED, USAGE, CoveyError


class DeploymentError(CoveyError):
    """Anything that the commands and the public functions refuse."""

    exit_code = USAGE


class UsageError(DeploymentError):
    """Options that do not fit together, or something that does not exist yet; names the mend."""


class NotThere(DeploymentError):
    """A file, a ledger or a release that was asked for and does not exist."""

    exit_code = NOT_FOUND


class ProjectMissing(NotThere):
    """No covey.toml where a project should be."""

    def __init__(self, path: str, folder: str) -> None:
        self.path, self.folder = path, folder
        super().__init__(f"no {path}; `covey init {folder}` makes a project")


class OverBudget(DeploymentError):
    """A run that would cost a client-day more than the store's budget leaves; nothing was computed. Names the mend."""

    exit_code = REFUSED


class VerificationUnsuccessful(DeploymentError):
    """At least one release did not pass; names how many, and the first."""

    exit_code = FAILURE


class RunFailed(DeploymentError):
    """A run did not come to its end."""

    exit_code = FAILURE


class ProcessFailed(RunFailed):
    """A process of the run ended early or did not come up; names its log."""


class CollectionFailed(RunFailed):
    """The collection ended without a result; names the log that says why."""


class TrainingRefused(DeploymentError):
    """Labels, or a split of them, from which no model can be trained or judged."""


class ModelOutdated(DeploymentError):
    """A model whose views, or the functions behind them, are no longer those that it was trained on."""

    exit_code = REFUSED

    def __init__(self, model: str, reason: str) -> None:
        self.model, self.reason = model, reason
        super().__init__(
            f"model {model}: {reason}; its inputs would mean something else. Train it again: covey train CONFIG.toml"
        )


class ModelRefused(DeploymentError):
    """A registered model's file that is not as `covey train` writes it: loading it could run code, or make no sense."""

    exit_code = REFUSED

    def __init__(self, model: str, file: str, reason: str, torch: str) -> None:
        self.model, self.file, self.reason, self.torch = model, file, reason, torch
        super().__init__(
            f"model {model}: {file} is refused: {reason}. It says that torch {torch} made it. Do not load it elsewhere; train "
            "it again: covey train CONFIG.toml"
        )


class CodeUntrusted(DeploymentError):
    """A file that is data names a Python file, which would be run; names it and the mend."""

    exit_code = REFUSED

    def __init__(self, model: str, key: str, file: str) -> None:
        self.model, self.key, self.file = model, key, file
        super().__init__(
            f"the configuration of model {model}: {key} names {file}, Python code that would run as you. Read it, then add "
            "--trust (in Python, trust=True)"
        )


class RunRefused(DeploymentError):
    """Options of a run that do not fit together; names the mend."""


class TooManyClients(RunRefused):
    """A site with more clients than are declared; names the declaration that holds them.

    Attributes:
        have: counted in the events. For the eyes of whoever has them.
    """

    def __init__(self, site: str, have: int, declared: int) -> None:
        self.site, self.have, self.declared = site, have, declared
        super().__init__(
            f"{site} has {have:,} clients in the events, and {declared:,} a site are declared: others see that number, so it is "
            f"not counted for you. Declare more, such as --site-clients {1 << (have - 1).bit_length()}"
        )


class JobMalformed(DeploymentError):
    """A job file, or an announcement, of a coordinator that cannot be read."""

    exit_code = FAILURE
