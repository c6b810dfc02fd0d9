"""What people asked for that cannot be done, and the exit code that each layer's error tree maps to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DONE: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
NOTHING_RELEASED: Final = 3
REFUSED: Final = 4
NOT_FOUND: Final = 5
INTERRUPTED: Final = 130


class CoveyError(Exception):
    """Anything that the commands and the public functions refuse."""


class UsageError(CoveyError):
    """Options that do not fit together, or something that does not exist yet; names the mend."""


class NotThere(CoveyError):
    """A file, a ledger or a release that was asked for and does not exist."""


class ProjectMissing(NotThere):
    """No covey.toml where a project should be."""

    def __init__(self, path: str, folder: str) -> None:
        self.path = path
        super().__init__(f"no {path}; `covey init {folder}` makes a project")


class OverBudget(CoveyError):
    """A run that would cost a client-day more than the store's budget leaves; nothing was computed. Names the mend."""


class VerificationUnsuccessful(CoveyError):
    """At least one release did not pass; names how many, and the first."""


class RunFailed(CoveyError):
    """A run did not come to its end."""


class DiskFull(RunFailed):
    """No space is left for a run of the lab; names the mend."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"the disk is full; what is finished is kept: make space, then covey lab run --resume {folder}"
        )


class ProcessFailed(RunFailed):
    """A process of the run ended early or did not come up; names its log."""


class CollectionFailed(RunFailed):
    """The collection ended without a result; names the log that says why."""


class TrainConfigInvalid(UsageError):
    """A file of `covey train` that cannot be used; names the section, the key and the mend."""

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        super().__init__(f"{path}: {message}")


class TrainingRefused(CoveyError):
    """Labels, or a split of them, from which no model can be trained or judged."""


class ModelOutdated(CoveyError):
    """A model whose views, or the functions behind them, are no longer those that it was trained on."""

    def __init__(self, model: str, reason: str) -> None:
        self.model = model
        super().__init__(
            f"model {model}: {reason}; its inputs would mean something else. Train it again: covey train CONFIG.toml"
        )


class ModelRefused(CoveyError):
    """A registered model's file that is not as `covey train` writes it: loading it could run code, or make no sense."""

    def __init__(self, model: str, file: str, reason: str, torch: str) -> None:
        self.model = model
        super().__init__(
            f"model {model}: {file} is refused: {reason}. It says that torch {torch} made it. Do not load it elsewhere; train "
            "it again: covey train CONFIG.toml"
        )


class CodeUntrusted(CoveyError):
    """A file that is data names a Python file, which would be run; names it and the mend."""

    def __init__(self, model: str, key: str, code: str) -> None:
        self.model, self.code = model, code
        super().__init__(
            f"the configuration of model {model}: {key} names {code}, Python code that would run as you. Read it, then add "
            "--trust (in Python, trust=True)"
        )


def exit_code(error: BaseException) -> int | None:
    """The exit code of an expected error; None for a defect."""
    from aggregator.errors import AggregatorError
    from crypto.errors import CryptoError
    from edge_client.errors import EdgeError, EncryptionFailed, SuperLinkError
    from featurestore import errors as store
    from featurestore.trainers.errors import LabelsRefused, TrainingArgument
    from federation.errors import FederationError, KeyFileExists, KeyFileMissing, LedgerRefusal, NoiseRefused
    from simulations.errors import DataMissing, SimulationError

    match error:
        case store.NotFoundError() | DataMissing() | KeyFileMissing() | NotThere():
            return NOT_FOUND
        case store.ViewChanged() | store.ReleaseRefused() | NoiseRefused() | LedgerRefusal() | OverBudget():
            return REFUSED
        case ModelOutdated() | ModelRefused() | CodeUntrusted():
            return REFUSED
        case store.DefinitionError() | store.ExpressionError() | store.BadReference() | KeyFileExists():
            return USAGE
        case store.ConsumerExists() | store.ConsumerInvalid():
            return USAGE
        case store.MemoryLimitRefused() | store.ViewsFileError() | store.SettingsInvalid() | store.ServiceInvalid():
            return USAGE
        case store.OnDemandInvalid() | store.ModelInvalid() | LabelsRefused() | TrainingArgument():
            return USAGE
        case RunFailed() | VerificationUnsuccessful() | EncryptionFailed() | SuperLinkError():
            return FAILURE
        case CoveyError() | EdgeError() | SimulationError():
            return USAGE
        case store.FeatureStoreError() | FederationError() | AggregatorError() | CryptoError() | OSError():
            return FAILURE
    return None
