"""What can be wrong with labels, with the joined cache, and with how it is read. Each message is one line with the mend."""

from __future__ import annotations

from collections.abc import Sequence

from base.disk import mend_of
from base.errors import FAILURE, NOT_FOUND, REFUSED, USAGE
from featurestore.errors import FeatureStoreError


class TrainingError(FeatureStoreError):
    """Anything that reading features for training refuses or cannot do."""


class TrainingArgument(TrainingError):
    """An argument that cannot be: a batch of no rows, a rank outside the world; names it."""

    exit_code = USAGE


class LabelsRefused(TrainingError):
    """Labels that cannot be trained on as they are."""

    exit_code = USAGE


class ColumnMissing(LabelsRefused):
    """The labels have no column of this name, or have it twice."""

    def __init__(self, column: str, role: str, known: Sequence[str]) -> None:
        self.column, self.role, self.known = column, role, known
        mend = ""
        if role.startswith("join key"):
            mend = "; rename={key: column} reads it from a column of another name, constants={key: value} gives all rows one"
        super().__init__(
            f"the labels need one column {column!r} ({role}); they have: {', '.join(known) or 'none'}{mend}"
        )


class ColumnNotNumeric(LabelsRefused):
    """A target or a plain feature that holds no numbers."""

    def __init__(self, column: str, role: str, kind: object) -> None:
        self.column, self.role, self.kind = column, role, kind
        super().__init__(f"the {role} {column!r} must hold numbers or booleans, not {kind}")


class TargetMissing(LabelsRefused):
    """A row whose target is null, NaN or infinite, as float32."""

    def __init__(self, column: str, row: int) -> None:
        self.column, self.row = column, row
        super().__init__(f"the target {column!r} of label row {row:,} is not a finite number; drop such rows")


class PlainTooLarge(LabelsRefused):
    """A row with a plain feature that is infinite, as float32."""

    def __init__(self, column: str, row: int) -> None:
        self.column, self.row = column, row
        super().__init__(
            f"the plain feature {column!r} of label row {row:,} is infinite as float32; make it null, or scale the column"
        )


class ScoreColumnTaken(LabelsRefused):
    """A file of rows to score has a column with the name of one that the output gets."""

    def __init__(self, column: str) -> None:
        self.column = column
        super().__init__(
            f"the file has a column {column!r}, and the output gets one of that name. Keep other columns only, or rename it in "
            "the file"
        )


class OutcomeBeforeTime(LabelsRefused):
    """A row whose outcome was known before the time at which its features are read."""

    def __init__(self, column: str, time: str, row: int) -> None:
        self.column, self.row, self.time = column, row, time
        super().__init__(
            f"label row {row:,}: its outcome ({column!r}) comes before its time ({time!r}); features as of that time could "
            "contain the outcome, and the model would learn from the future"
        )


class NoLabels(LabelsRefused):
    """A join of no rows, or a part of it without any."""


class LabelsChanged(LabelsRefused):
    """The labels' file was written to while it was read."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} was changed while it was joined; make the dataset again")


class TooMuchMissing(TrainingError):
    """A feature that is null in more rows than `max_missing` allows.

    Attributes:
        feature: the worst one; share: of its rows, null.
    """

    def __init__(self, feature: str, share: float, max_missing: float, why: str) -> None:
        self.feature, self.share, self.max_missing, self.why = feature, share, max_missing, why
        super().__init__(
            f"{feature} is null in {share:.1%} of the rows ({why}); max_missing is {max_missing:.0%}. Check keys and times, "
            "or raise max_missing"
        )


class AllNull(TooMuchMissing):
    """A feature without a single value."""

    def __init__(self, feature: str, why: str) -> None:
        super().__init__(feature, 1.0, 1.0, why)
        self.args = (f"{feature} is null in every row ({why}); it has no information. Check keys and times",)


class CacheBroken(TrainingError):
    """A joined cache that was truncated or edited, or was written by another version."""

    def __init__(self, folder: str, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"the joined cache {folder} cannot be used ({reason}); it is made again if the store is available"
        )


class CacheGone(TrainingError):
    """A joined cache that was deleted before it was opened again, as by a worker process."""


class CacheWriteFailed(TrainingError):
    """The joined cache could not be written, as on a full disk."""

    def __init__(self, folder: str, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"the joined cache cannot be written in {folder} ({reason}); {mend_of(reason)}, or name another cache_dir"
        )


class StoreBusy(TrainingError):
    """The store was published into every time that it was joined."""

    def __init__(self, tries: int) -> None:
        self.tries = tries
        super().__init__(f"the store changed during each of {tries} joins; try again when no publication is under way")


class StateRefused(TrainingError):
    """A state to resume from that belongs to other rows, or to another order of them."""

    def __init__(self, *differs: str) -> None:
        self.differs = differs
        super().__init__(f"this state continues another reading: {'; '.join(differs)}")


class LoaderWorkerDied(TrainingError):
    """A DataLoader worker process that ended before its batches did."""


class TableInvalid(TrainingError):
    """A `FeatureTable` that cannot be as asked for, or cannot be refreshed."""


class TableBusy(TrainingError):
    """A `FeatureTable` that cannot take up a release: something still reads the one before the last."""

    def __init__(self, waited_s: float) -> None:
        self.waited_s = waited_s
        super().__init__(
            f"the table's idle half is still read after {waited_s:.0f} s; it keeps its rows. An exported program holds them: "
            "export a copy (copy.deepcopy) of the model"
        )


class StoreMoved(TrainingError):
    """The store was published into, at times that labels see, while they were read in parts."""

    def __init__(self, view: str) -> None:
        self.view = view
        super().__init__(f"view {view!r} got releases for these labels while it was read; read again")


class TrainingInputRefused(TrainingError):
    """Values or standard errors that nothing can be learnt from; tells which."""


class NotFitted(TrainingError):
    """Something was asked to transform before it has seen training rows."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} is not fitted yet: call fit with rows of the training split first")


class DeviceUnavailable(TrainingError):
    """A device of PyTorch that is not there."""

    exit_code = USAGE

    def __init__(self, device: str, why: str) -> None:
        self.device, self.why, self.settings = device, why, ("device",)
        super().__init__(f"the device {device!r} cannot be used: {why}")


class ModelUntrusted(TrainingError):
    """A model whose library may run code when it loads the file, or that brings its own operations."""

    exit_code = REFUSED

    def __init__(self, model: str, file: str) -> None:
        self.model, self.file, self.settings = model, file, ("trust",)
        super().__init__(
            f"model {model}: a library loads {file}, which may run code as you. Trust the file only if you know who made it"
        )


class ModelFileRefused(TrainingError):
    """The file of a model that was made elsewhere, and that is not loaded; says why."""

    exit_code = REFUSED

    def __init__(self, model: str, file: str, why: str) -> None:
        self.model, self.file, self.why = model, file, why
        super().__init__(f"model {model}: {file} is refused: {why}")


class CallUnclear(TrainingError):
    """A model that was made elsewhere, and of which it is unclear how it is called; lists what can be chosen."""

    exit_code = USAGE

    def __init__(self, message: str, *settings: str) -> None:
        self.settings = settings
        super().__init__(message)


class TooLittleMemory(TrainingError):
    """A machine without the memory that a model needs to be loaded."""

    def __init__(self, model: str, need: int, have: int) -> None:
        self.model, self.need, self.have = model, need, have
        self.why = f"{need / 2**20:,.0f} MiB of memory are needed to load it, and {have / 2**20:,.0f} MiB are free"
        super().__init__(f"model {model}: {self.why}. Stop other programs, or serve fewer models")


class BundleError(TrainingError):
    """What a deployment of a model refuses, or cannot do."""


class BundleRecordBroken(BundleError):
    """The file that says which steps of a bundle are done cannot be read."""

    exit_code = FAILURE

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(
            f"{path} is not a record of deployed steps ({why}). Delete it: every step then runs again, and registered versions stay"
        )


class DeployUnderWay(BundleError):
    """Another process deploys the same model."""

    exit_code = FAILURE

    def __init__(self, name: str, holder: str) -> None:
        self.name, self.holder = name, holder
        super().__init__(f"{holder} deploys model {name!r} into this store; wait until it ends")


class ServeAddressTaken(BundleError):
    """Another process listens where the server of a bundle shall listen."""

    exit_code = USAGE

    def __init__(self, address: str, holder: str | None) -> None:
        self.address, self.holder = address, holder
        by = "another process" if holder is None else holder
        super().__init__(
            f"the address {address} is in use by {by}. Stop that process, or write another port under [serve]"
        )


class ServerNotStarted(BundleError):
    """The server of a bundle ended, or did not become ready. It was stopped."""

    exit_code = FAILURE

    def __init__(self, name: str, why: str, log: str) -> None:
        self.name, self.why, self.log = name, why, log
        super().__init__(f"the server of model {name!r} does not start: {why} (log: {log})")


class ServerNotRunning(BundleError):
    """There is no server of the bundle to stop."""

    exit_code = NOT_FOUND

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no server of model {name!r} runs; a configuration with a section [serve] starts one")


class VersionNotServed(BundleError):
    """The server of a bundle does not answer with a version that is in force; it goes on with the one before."""

    exit_code = FAILURE

    def __init__(self, version: str, why: str) -> None:
        self.version, self.why = version, why
        super().__init__(
            f"the server does not answer with {version}, which is in force: {why}. It goes on with the version before; roll back, "
            "or deploy another one"
        )


class ArchiveRefused(TrainingError):
    """The bytes of a model are no archive that is read; says what is wrong with them."""


class ServingError(TrainingError):
    """What a server of models refuses, or cannot do now."""


class InputRefused(ServingError):
    """The inputs of a prediction cannot be used; names the input and what it must be."""

    exit_code = USAGE


class ModelBusy(ServingError):
    """A model has more requests than it may have: its queue is full, or its rate is reached.

    Attributes:
        retry_after_s: when a request may succeed.
    """

    def __init__(self, name: str, why: str, retry_after_s: float) -> None:
        self.name, self.why, self.retry_after_s = name, why, retry_after_s
        super().__init__(f"model {name}: {why}; retry in {retry_after_s:.3g} s")


class DeadlineMissed(ServingError):
    """A prediction that cannot be made in the time that the client waits. It was not computed.

    Attributes:
        timeout_s: the time that the client waits; wait_s: the time until a batch takes the request.
    """

    def __init__(self, name: str, timeout_s: float, wait_s: float) -> None:
        self.name, self.timeout_s, self.wait_s = name, timeout_s, wait_s
        super().__init__(
            f"model {name}: the request waits {wait_s * 1_000:.3g} ms for its batch, and its timeout is "
            f"{timeout_s * 1_000:.3g} ms. Send fewer requests, or allow more time"
        )


class ModelNotReady(ServingError):
    """A model, or a version of it, that is loading, or that could not be loaded."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(f"model {name} is not ready: {why}")


class ModelFailed(ServingError):
    """A model that raised an error, gave something else than a number a row, or exceeded its limit."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(f"model {name} failed: {why}")
