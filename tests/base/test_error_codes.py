"""The code, class and exit code of every error of Covey. Programs rely on the code, scripts on the exit code.

A class may be renamed, moved or split. Its code and its exit code stay: the new class gets the old code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from base.errors import CoveyError, exit_code

ROOT = Path(__file__).parents[2]
ROOMS = (
    "base", "crypto", "featurestore", "federation", "edge_client", "aggregator", "deployment", "training", "simulations", "covey",
)  # fmt: skip
CODES = """
BUNDLE_ERROR training.BundleError 1
BUNDLE_RECORD_BROKEN training.BundleRecordBroken 1
COVEY_ERROR base.CoveyError 1
DEPLOY_UNDER_WAY training.DeployUnderWay 1
FEATURE_IN_SERVICE featurestore.FeatureInService 4
HAND_OVER_REFUSED featurestore.HandOverRefused 4
OVERLAP_REFUSED featurestore.OverlapRefused 2
LOCK_HELD base.LockHeld 1
FILE_IN_USE base.FileInUse 4
OF_OLDER_VERSION base.OfOlderVersion 1
OF_NEWER_VERSION base.OfNewerVersion 1
CONFIG_INVALID base.ConfigInvalid 2
NOT_PRIVATE base.NotPrivate 1
EXTRA_MISSING base.ExtraMissing 1
SERVER_NOT_RUNNING training.ServerNotRunning 5
SERVER_NOT_STARTED training.ServerNotStarted 1
SERVE_ADDRESS_TAKEN training.ServeAddressTaken 2
TLS_ERROR base.TlsError 1
CERTIFICATE_MISSING base.CertificateMissing 5
CERTIFICATE_MALFORMED base.CertificateMalformed 1
KEY_NOT_PRIVATE base.KeyNotPrivate 1
CERTIFICATE_EXPIRED base.CertificateExpired 1
CERTIFICATE_NOT_YET_VALID base.CertificateNotYetValid 1
CERTIFICATE_UNTRUSTED base.CertificateUntrusted 1
CERTIFICATE_OF_ANOTHER_ROLE base.CertificateOfAnotherRole 1
CERTIFICATE_OF_ANOTHER_HOST base.CertificateOfAnotherHost 1
CERTIFICATE_REFUSED base.CertificateRefused 1
TLS_VERSION_REFUSED base.TlsVersionRefused 1
PEER_SPEAKS_CLEAR_TEXT base.PeerSpeaksClearText 1
PEER_SPEAKS_TLS base.PeerSpeaksTls 1
CLEAR_TEXT_REFUSED base.ClearTextRefused 2
PEER_ERROR base.PeerError 1
PEER_AWAY base.PeerAway 1
PEER_SILENT base.PeerSilent 1
PEER_SLOW base.PeerSlow 1
PEER_FLOODS base.PeerFloods 1
PEER_SPEAKS_ANOTHER_PROTOCOL base.PeerSpeaksAnotherProtocol 1
CRYPTO_ERROR crypto.CryptoError 1
FIELD_ELEMENT_OUT_OF_RANGE crypto.FieldElementOutOfRange 1
UNKNOWN_KEY featurestore.UnknownKey 5
UNKNOWN_VERSION featurestore.UnknownVersion 5
VALUE_OUT_OF_RANGE crypto.ValueOutOfRange 1
INDEX_OUT_OF_RANGE crypto.IndexOutOfRange 1
VERSION_IN_USE featurestore.VersionInUse 4
PROMOTION_INVALID featurestore.PromotionInvalid 2
MODEL_CHANGED featurestore.ModelChanged 4
NOTHING_TO_ROLL_BACK featurestore.NothingToRollBack 4
MODEL_IN_USE featurestore.ModelInUse 4
VERSION_NOT_SERVED training.VersionNotServed 1
VIEW_GIVEN_TWICE featurestore.ViewGivenTwice 2
WRONG_LENGTH crypto.WrongLength 1
PARAMETER_OUT_OF_RANGE crypto.ParameterOutOfRange 1
TOO_FEW_PROOFS crypto.TooFewProofs 1
NOT_A_MULTIPLE crypto.NotAMultiple 1
TOO_LONG crypto.TooLong 1
WRONG_ARRAY crypto.WrongArray 1
SCALE_OUT_OF_RANGE crypto.ScaleOutOfRange 1
KEY_INVALID crypto.KeyInvalid 1
SIGNATURE_INVALID crypto.SignatureInvalid 1
SCORE_COLUMN_TAKEN training.ScoreColumnTaken 2
SEAL_BROKEN crypto.SealBroken 1
REPORT_REJECTED crypto.ReportRejected 1
VERIFIER_CHECK_FAILED crypto.VerifierCheckFailed 1
JOINT_RANDOMNESS_MISMATCH crypto.JointRandomnessMismatch 1
QUERY_POINT_IS_ROOT crypto.QueryPointIsRoot 1
EXTRA_MISSING crypto.CrypTenMissing 1
CONVERSION_UNSAFE crypto.ConversionUnsafe 1
LIBRARY_UNKNOWN crypto.LibraryUnknown 1
BFV_IMPOSSIBLE crypto.BfvImpossible 1
COEFFICIENT_OUT_OF_RANGE crypto.CoefficientOutOfRange 1
KEY_MISMATCH crypto.KeyMismatch 1
TOO_MANY_REPORTS crypto.TooManyReports 1
SUM_OUT_OF_RANGE crypto.SumOutOfRange 1
KEY_ERASED crypto.KeyErased 1
FEATURE_STORE_ERROR featurestore.FeatureStoreError 1
DEFINITION_ERROR featurestore.DefinitionError 2
EXPRESSION_REFUSED featurestore.ExpressionRefused 2
EXPRESSION_ERROR featurestore.ExpressionError 2
NOT_FOUND_ERROR featurestore.NotFoundError 5
UNKNOWN_VIEW featurestore.UnknownView 5
UNKNOWN_FEATURE featurestore.UnknownFeature 5
STORE_NOT_FOUND featurestore.StoreNotFound 5
UNKNOWN_RELEASE featurestore.UnknownRelease 5
RELEASE_EXPIRED featurestore.ReleaseExpired 5
UNKNOWN_EVIDENCE featurestore.UnknownEvidence 5
BAD_REFERENCE featurestore.BadReference 2
STORE_IN_USE featurestore.StoreInUse 1
VIEW_MALFORMED featurestore.ViewMalformed 1
PUBLICATION_LATE featurestore.PublicationLate 1
STORE_WRITE_FAILED featurestore.StoreWriteFailed 1
STORE_CORRUPT featurestore.StoreCorrupt 1
STORE_OF_ANOTHER_VERSION featurestore.StoreOfAnotherVersion 1
VIEW_CHANGED featurestore.ViewChanged 4
RELEASE_REFUSED featurestore.ReleaseRefused 4
PANE_NOT_OPEN featurestore.PaneNotOpen 4
PANE_RETRACTED featurestore.PaneRetracted 4
BAD_REQUEST featurestore.BadRequest 1
REQUEST_TOO_LARGE featurestore.RequestTooLarge 1
NAME_COLLISION featurestore.NameCollision 2
UNKNOWN_FEATURE_SERVICE featurestore.UnknownFeatureService 5
ADDRESS_UNAVAILABLE featurestore.AddressUnavailable 1
COORDINATOR_REPLACED deployment.CoordinatorReplaced 1
SCHEDULE_BROKEN deployment.ScheduleBroken 1
SCHEDULE_WRITE_FAILED deployment.ScheduleWriteFailed 1
SERIES_TOO_LONG featurestore.SeriesTooLong 2
SERVER_EXPOSED featurestore.ServerExposed 2
CONSUMER_INVALID featurestore.ConsumerInvalid 2
CONSUMER_EXISTS featurestore.ConsumerExists 2
UNKNOWN_CONSUMER featurestore.UnknownConsumer 5
CONSUMERS_FILE_BROKEN featurestore.ConsumersFileBroken 1
WORKERS_FAILING featurestore.WorkersFailing 1
SETTINGS_INVALID featurestore.SettingsInvalid 2
ONLINE_UNAVAILABLE featurestore.OnlineUnavailable 1
NO_EPOCH featurestore.NoEpoch 1
UNKNOWN_MODEL featurestore.UnknownModel 5
MODEL_INVALID featurestore.ModelInvalid 2
SERVICE_INVALID featurestore.ServiceInvalid 2
ON_DEMAND_INVALID featurestore.OnDemandInvalid 2
ON_DEMAND_FAILED featurestore.OnDemandFailed 1
MEMORY_LIMIT_REFUSED featurestore.MemoryLimitRefused 2
MEMORY_LIMIT_UNREADABLE featurestore.MemoryLimitUnreadable 2
MEMORY_LIMIT_TOO_SMALL featurestore.MemoryLimitTooSmall 2
SPILL_FAILED featurestore.SpillFailed 1
VIEWS_FILE_ERROR featurestore.ViewsFileError 2
REMOTE_FAILED featurestore.RemoteFailed 1
KEY_REFUSED featurestore.KeyRefused 1
THROTTLED featurestore.Throttled 1
SERVER_SPEAKS_TLS featurestore.ServerSpeaksTls 1
SERVER_SPEAKS_CLEAR_TEXT featurestore.ServerSpeaksClearText 1
READER_CERTIFICATE_REFUSED featurestore.ReaderCertificateRefused 1
FEDERATION_ERROR federation.FederationError 1
PLAN_INVALID federation.PlanInvalid 1
TERM_UNKNOWN federation.TermUnknown 1
TERMS_IMPOSSIBLE federation.TermsImpossible 1
NOTHING_TO_SUPPRESS federation.NothingToSuppress 1
HE_IMPOSSIBLE federation.HeImpossible 1
REPORT_REFUSED federation.ReportRefused 1
DUPLICATE_REPORT federation.DuplicateReport 1
NOISE_REFUSED federation.NoiseRefused 4
FINISH_REFUSED federation.FinishRefused 1
PANE_OPENED_BEFORE federation.PaneOpenedBefore 1
ENCRYPTION_KEYS_INVALID federation.EncryptionKeysInvalid 1
KEY_BURNT federation.KeyBurnt 1
PARTY_INVALID federation.PartyInvalid 1
NODE_KEY_INVALID federation.NodeKeyInvalid 1
UNKNOWN_SITE federation.UnknownSite 1
ROSTER_EXCEEDED federation.RosterExceeded 1
REPORTED_TWICE federation.ReportedTwice 1
TOO_MANY_DECLARED federation.TooManyDeclared 1
REPORT_TOO_LONG federation.ReportTooLong 1
BATCH_REFUSED federation.BatchRefused 1
BATCH_MALFORMED federation.BatchMalformed 1
BATCH_TOO_LARGE federation.BatchTooLarge 1
BATCH_OF_ANOTHER_PLAN federation.BatchOfAnotherPlan 1
DIGEST_MISMATCH federation.DigestMismatch 1
KEY_FILE_ERROR federation.KeyFileError 1
KEY_FILE_MISSING federation.KeyFileMissing 5
KEY_FILE_EXISTS federation.KeyFileExists 2
KEY_FILE_EXPOSED federation.KeyFileExposed 1
KEY_FILE_MALFORMED federation.KeyFileMalformed 1
HANDOVER_MISSING federation.HandoverMissing 4
HANDOVER_INVALID federation.HandoverInvalid 4
TOO_MANY_FORMER_KEYS federation.TooManyFormerKeys 4
KEY_NOT_IN_FORCE federation.KeyNotInForce 4
KEY_FILE_OUTDATED federation.KeyFileOutdated 1
LEDGER_ERROR federation.LedgerError 1
LEDGER_BROKEN federation.LedgerBroken 1
LEDGER_BEHIND federation.LedgerBehind 1
LEDGER_WRITE_FAILED federation.LedgerWriteFailed 1
LEDGERS_APART federation.LedgersApart 1
LEDGER_REFUSAL federation.LedgerRefusal 4
PANE_ALREADY_REPORTED federation.PaneTaken 4
ATTEMPTS_SPENT federation.AttemptsSpent 4
PLAN_FREED federation.PlanFreed 4
VIEW_OVERLAP federation.ViewOverlap 4
DAY_BUDGET_SPENT federation.DayBudgetSpent 4
CLOCK_SKEW federation.ClockWentBack 4
PANE_ALREADY_REPORTED federation.PaneBeforeRebuild 4
AGGREGATOR_BEHIND federation.AggregatorBehind 4
PANE_ALREADY_REPORTED federation.PlanOpenedBefore 4
STATEMENT_MALFORMED federation.StatementMalformed 1
STATEMENTS_DISAGREE federation.StatementsDisagree 1
VERIFICATION_FAILED federation.VerificationFailed 1
EDGE_ERROR edge_client.EdgeError 2
EVENTS_ERROR edge_client.EventsError 2
EVENT_FILES_AWAY edge_client.EventFilesAway 2
EVENT_COLUMN_ERROR edge_client.EventColumnError 2
SOURCE_AWAY edge_client.SourceAway 1
LOG_ERROR edge_client.LogError 1
LOG_MISSING edge_client.LogMissing 5
LOG_FULL edge_client.LogFull 1
LOG_WRITE_FAILED edge_client.LogWriteFailed 1
LOG_BROKEN edge_client.LogBroken 1
LOG_KEY_WRONG edge_client.LogKeyWrong 1
LOG_SETTINGS_DIFFER edge_client.LogSettingsDiffer 2
ENCRYPTION_FAILED edge_client.EncryptionFailed 1
POLICY_MISSING edge_client.PolicyMissing 2
SITE_FILE_MISSING edge_client.SiteFileMissing 2
SITE_FILE_OUTDATED edge_client.SiteFileOutdated 2
SUPER_LINK_ERROR edge_client.SuperLinkError 1
SUPER_LINK_AWAY edge_client.SuperLinkAway 1
SUPER_LINK_UNTRUSTED edge_client.SuperLinkUntrusted 1
NODE_KEY_UNKNOWN edge_client.NodeKeyUnknown 1
SITE_CLOCK_APART edge_client.SiteClockApart 1
RUN_OVER edge_client.RunOver 1
MESSAGE_REFUSED edge_client.MessageRefused 1
AGGREGATOR_ERROR aggregator.AggregatorError 1
MESSAGE_MALFORMED aggregator.MessageMalformed 1
PLAN_UNKNOWN aggregator.PlanUnknown 1
PLAN_DELETED aggregator.PlanDeleted 1
PLAN_TOO_LARGE aggregator.PlanTooLarge 1
COLLECTED aggregator.AlreadyCollected 1
AFTER_DEADLINE aggregator.AfterDeadline 1
LEDGER_BROKEN aggregator.StateBehindLedger 1
PLAN_BEFORE_REBUILD aggregator.PlanBeforeRebuild 1
PROOFS_REQUIRED aggregator.ProofsRequired 1
SETTINGS_REFUSED aggregator.SettingsRefused 1
PEER_UNKNOWN aggregator.PeerUnknown 1
VERIFICATION_KEY_MISSING aggregator.VerificationKeyMissing 1
VERIFICATION_KEY_CONFLICT aggregator.VerificationKeyConflict 1
DRAFT_CONFLICT aggregator.DraftConflict 1
LIVE_SECRET_LOST aggregator.LiveSecretLost 1
SEAL_KEY_ERASED aggregator.SealKeyErased 1
JOB_CONFLICT aggregator.JobConflict 1
COMMITMENT_CONFLICT aggregator.CommitmentConflict 1
NOT_COMMITTED aggregator.NotCommitted 1
FREE_REFUSED aggregator.FreeRefused 1
HELPER_UNAVAILABLE aggregator.HelperUnavailable 1
KEY_HOLDER_UNAVAILABLE aggregator.KeyHolderUnavailable 1
KEY_HOLDER_UNKNOWN aggregator.KeyHolderUnknown 1
ENCRYPTION_KEYS_MISSING aggregator.EncryptionKeysMissing 1
PROVIDER_UNAVAILABLE aggregator.ProviderUnavailable 1
PROVIDER_UNKNOWN aggregator.ProviderUnknown 1
PEER_REFUSED aggregator.PeerRefused 1
STOPPING aggregator.Stopping 1
NO_SPACE_LEFT aggregator.NoSpaceLeft 1
STORAGE_UNUSABLE aggregator.StorageUnusable 1
ADDRESS_UNUSABLE aggregator.AddressUnusable 1
REFUSED aggregator.RemoteRefusal 1
MPC_FAILED aggregator.MpcFailed 1
PROCESS_LOST aggregator.ProcessLost 1
SUPER_LINK_UNUSABLE aggregator.SuperLinkUnusable 1
RUN_LOST aggregator.RunLost 1
UNREACHABLE aggregator.Unreachable 1
CALLER_NOT_ALLOWED aggregator.CallerNotAllowed 1
DEPLOYMENT_ERROR deployment.DeploymentError 2
USAGE_ERROR deployment.UsageError 2
NOT_THERE deployment.ItemMissing 5
PROJECT_MISSING deployment.ProjectMissing 5
FOLDER_NOT_EMPTY deployment.FolderNotEmpty 2
BACKUP_INCOMPLETE deployment.BackupIncomplete 1
BACKUP_DAMAGED deployment.BackupDamaged 1
ORIGINAL_DAMAGED deployment.OriginalDamaged 1
NOT_WRITTEN deployment.NotWritten 1
OVER_BUDGET deployment.OverBudget 4
VERIFICATION_UNSUCCESSFUL deployment.VerificationUnsuccessful 1
RUN_FAILED deployment.RunFailed 1
PROCESS_FAILED deployment.ProcessFailed 1
COLLECTION_FAILED deployment.CollectionFailed 1
TRAINING_REFUSED deployment.TrainingRefused 2
LINEAGE_NOT_SENT deployment.LineageNotSent 1
MODEL_OUTDATED deployment.ModelOutdated 4
MODEL_REFUSED deployment.ModelRefused 4
CODE_UNTRUSTED deployment.CodeUntrusted 4
VIEW_SOURCE_INVALID deployment.ViewSourceInvalid 2
VIEW_SOURCE_TOO_LARGE deployment.ViewSourceTooLarge 4
RUN_REFUSED deployment.RunRefused 2
COLLECTION_UNDER_WAY deployment.CollectionUnderWay 1
ALREADY_UP deployment.AlreadyUp 2
NOT_UP deployment.NotUp 5
PORT_TAKEN deployment.PortTaken 2
DEPLOYMENT_STATE_BROKEN deployment.DeploymentStateBroken 1
ROLE_KEEPS_DYING deployment.RoleKeepsDying 1
CLOCKS_APART deployment.ClocksApart 4
VERSIONS_APART deployment.VersionsApart 4
TOO_MANY_CLIENTS deployment.TooManyClients 2
JOB_MALFORMED deployment.JobMalformed 1
TRAINING_ERROR training.TrainingError 1
TRAINING_ARGUMENT training.TrainingArgument 2
LABELS_REFUSED training.LabelsRefused 2
COLUMN_MISSING training.ColumnMissing 2
COLUMN_NOT_NUMERIC training.ColumnNotNumeric 2
TARGET_MISSING training.TargetMissing 2
PLAIN_TOO_LARGE training.PlainTooLarge 2
OUTCOME_BEFORE_TIME training.OutcomeBeforeTime 2
NO_LABELS training.NoLabels 2
LABELS_CHANGED training.LabelsChanged 2
TOO_MUCH_MISSING training.TooMuchMissing 1
ALL_NULL training.AllNull 1
CACHE_BROKEN training.CacheBroken 1
CACHE_GONE training.CacheGone 1
CACHE_WRITE_FAILED training.CacheWriteFailed 1
STORE_BUSY training.StoreBusy 1
STATE_REFUSED training.StateRefused 1
LOADER_WORKER_DIED training.LoaderWorkerDied 1
TABLE_INVALID training.TableInvalid 1
TABLE_BUSY training.TableBusy 1
STORE_MOVED training.StoreMoved 1
TRAINING_INPUT_REFUSED training.TrainingInputRefused 1
NOT_FITTED training.NotFitted 1
DEVICE_UNAVAILABLE training.DeviceUnavailable 2
MODEL_UNTRUSTED training.ModelUntrusted 4
MODEL_FILE_REFUSED training.ModelFileRefused 4
CALL_UNCLEAR training.CallUnclear 2
TOO_LITTLE_MEMORY training.TooLittleMemory 1
ARCHIVE_REFUSED training.ArchiveRefused 1
SERVING_ERROR training.ServingError 1
INPUT_REFUSED training.InputRefused 2
MODEL_BUSY training.ModelBusy 1
DEADLINE_MISSED training.DeadlineMissed 1
MODEL_NOT_READY training.ModelNotReady 1
MODEL_FAILED training.ModelFailed 1
SIMULATION_ERROR simulations.SimulationError 2
DATA_MISSING simulations.DataMissing 5
CANNOT_TELL simulations.LieInapplicable 2
FLEET_IMPOSSIBLE simulations.FleetImpossible 2
TRACE_INVALID simulations.TraceInvalid 2
WORKER_DIED simulations.WorkerDied 2
SETTING_REFUSED simulations.SettingRefused 2
REPORT_CONFIG_INVALID simulations.ReportConfigInvalid 2
REPORT_MISSING simulations.ReportMissing 5
RUN_UNREADABLE simulations.RunUnreadable 1
DISK_FULL simulations.DiskFull 1
CONSOLE_ERROR covey.ConsoleError 2
NOTHING_TO_SHOW covey.NothingToShow 5
SESSION_MISSING covey.SessionMissing 2
CREDENTIALS_REFUSED covey.CredentialsRefused 4
KEY_NEEDED covey.KeyNeeded 4
TOO_MANY_ATTEMPTS covey.TooManyAttempts 4
TOO_MANY_REQUESTS covey.TooManyRequests 4
TOO_MANY_SESSIONS covey.TooManySessions 4
REQUEST_FROM_ANOTHER_SITE covey.RequestFromAnotherSite 4
PAGE_TOKEN_MISSING covey.PageTokenMissing 4
ROLE_TOO_SMALL covey.RoleTooSmall 4
NOT_CONFIRMED covey.NotConfirmed 4
TOO_MANY_STREAMS covey.TooManyStreams 4
CONSOLE_BUSY covey.ConsoleBusy 4
STORE_REPLACED covey.StoreReplaced 4
BODY_TOO_LARGE covey.BodyTooLarge 2
PAGE_DAMAGED covey.PageDamaged 1
PAGE_NOT_FOUND covey.PageNotFound 5
NO_EVENTS covey.NoEvents 2
NO_VIEWS_FILE covey.NoViewsFile 2
RUN_UNDER_WAY covey.RunUnderWay 4
UNKNOWN_RUN covey.UnknownRun 5
VIEWS_FILE_CHANGED covey.ViewsFileChanged 4
VIEWS_FILE_UNUSABLE covey.ViewsFileUnusable 2
VIEWS_NOT_KNOWN covey.ViewsNotKnown 2
TEXT_TOO_DEMANDING covey.TextTooDemanding 2
CURSOR_INVALID covey.CursorInvalid 2
"""
SHARED = {
    "PANE_ALREADY_REPORTED": {
        "federation.PaneTaken",
        "federation.PaneBeforeRebuild",
        "federation.PlanOpenedBefore",
    },
    "LEDGER_BROKEN": {"federation.LedgerBroken", "aggregator.StateBehindLedger"},
    "EXTRA_MISSING": {"base.ExtraMissing", "crypto.CrypTenMissing"},
}
"""Codes that two errors share, because the reader mends both in the same way."""
CODES_OF_FEAST = {"ReadRefused", "WriteRefused"}
"""Errors of Feast's own tree, which the Feast plug-in raises."""


def errors() -> Iterator[type[CoveyError]]:
    for room in ROOMS:
        module = import_module(f"{room}.errors")
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, CoveyError) and kind.__module__ == module.__name__:
                yield kind


def name_of(kind: type[CoveyError]) -> str:
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"


def test_codes_and_exit_codes_stay() -> None:
    found = [f"{kind.code} {name_of(kind)} {kind.exit_code}" for kind in errors()]
    assert sorted(found) == sorted(CODES.strip().splitlines())


def test_a_code_names_one_error() -> None:
    by_code: dict[str, set[str]] = {}
    for kind in errors():
        by_code.setdefault(kind.code, set()).add(name_of(kind))
    assert {code: names for code, names in by_code.items() if len(names) > 1} == SHARED


def test_every_error_is_in_the_tree_of_its_room() -> None:
    names = {kind.__name__ for kind in errors()}
    outside = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and path != ROOT / room / "errors.py":
                    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                    outside |= {node.name} if bases & names or any(one.endswith("Error") for one in bases) else set()
    assert outside == CODES_OF_FEAST


def test_what_an_error_is_made_of_are_attributes_of_it() -> None:
    lost = []
    for room in ROOMS:
        for node in ast.walk(ast.parse((ROOT / room / "errors.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                made = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
                given = {one.arg for init in made for one in (*init.args.args[1:], *init.args.kwonlyargs)}
                kept = {one.attr for init in made for one in ast.walk(init) if isinstance(one, ast.Attribute)}
                calls = [one for init in made for one in ast.walk(init) if isinstance(one, ast.Call)]
                passed = [
                    argument for call in calls for argument in (*call.args, *(word.value for word in call.keywords))
                ]
                kept |= {one.id for one in passed if isinstance(one, ast.Name)}
                lost += [f"{room}.{node.name}: {name}" for name in sorted(given - kept - {"message"})]
    assert lost == []


def test_a_code_is_the_name_of_its_class_unless_the_class_says_otherwise() -> None:
    class BatchTooOld(CoveyError):
        """An error."""

    class Renamed(BatchTooOld):
        """Another one."""

        code = "BATCH_STALE"

    assert [kind.code for kind in (BatchTooOld, Renamed)] == ["BATCH_TOO_OLD", "BATCH_STALE"]


@pytest.mark.parametrize(("error", "code"), [(CoveyError("x"), 1), (PermissionError("x"), 1), (ValueError("x"), None)])
def test_an_error_that_nobody_raises_on_purpose_has_no_exit_code(error: Exception, code: int | None) -> None:
    assert exit_code(error) == code
