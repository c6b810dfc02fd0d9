from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Signed(_message.Message):
    __slots__ = ("body", "signature")
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    signature: bytes
    def __init__(self, body: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "text", "numbers", "view")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    reason: str
    text: str
    numbers: _containers.RepeatedCompositeFieldContainer[Number]
    view: str
    def __init__(self, reason: _Optional[str] = ..., text: _Optional[str] = ..., numbers: _Optional[_Iterable[_Union[Number, _Mapping]]] = ..., view: _Optional[str] = ...) -> None: ...

class Number(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: int
    def __init__(self, name: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("plan_hash", "job_id", "half", "verdicts", "verifier_shares")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    HALF_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    VERIFIER_SHARES_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    job_id: bytes
    half: bytes
    verdicts: bytes
    verifier_shares: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ..., job_id: _Optional[bytes] = ..., half: _Optional[bytes] = ..., verdicts: _Optional[bytes] = ..., verifier_shares: _Optional[bytes] = ...) -> None: ...

class JobAnswer(_message.Message):
    __slots__ = ("plan_hash", "job_id", "job_digest", "verdicts", "refusal", "verifier_messages")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    VERIFIER_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    job_id: bytes
    job_digest: bytes
    verdicts: bytes
    refusal: Refusal
    verifier_messages: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ..., job_id: _Optional[bytes] = ..., job_digest: _Optional[bytes] = ..., verdicts: _Optional[bytes] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., verifier_messages: _Optional[bytes] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("signed_draft",)
    SIGNED_DRAFT_FIELD_NUMBER: _ClassVar[int]
    signed_draft: bytes
    def __init__(self, signed_draft: _Optional[bytes] = ...) -> None: ...

class CheckReply(_message.Message):
    __slots__ = ("version", "protocol", "now_us", "refusal")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    NOW_US_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    version: str
    protocol: int
    now_us: int
    refusal: Refusal
    def __init__(self, version: _Optional[str] = ..., protocol: _Optional[int] = ..., now_us: _Optional[int] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class PrepareRequest(_message.Message):
    __slots__ = ("signed_draft",)
    SIGNED_DRAFT_FIELD_NUMBER: _ClassVar[int]
    signed_draft: bytes
    def __init__(self, signed_draft: _Optional[bytes] = ...) -> None: ...

class PreparedPart(_message.Message):
    __slots__ = ("live", "verify_key_hash", "encryption_keys")
    LIVE_FIELD_NUMBER: _ClassVar[int]
    VERIFY_KEY_HASH_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTION_KEYS_FIELD_NUMBER: _ClassVar[int]
    live: bytes
    verify_key_hash: bytes
    encryption_keys: bytes
    def __init__(self, live: _Optional[bytes] = ..., verify_key_hash: _Optional[bytes] = ..., encryption_keys: _Optional[bytes] = ...) -> None: ...

class KeyOffer(_message.Message):
    __slots__ = ("plan_id", "sealed")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    plan_id: bytes
    sealed: bytes
    def __init__(self, plan_id: _Optional[bytes] = ..., sealed: _Optional[bytes] = ...) -> None: ...

class KeyTaken(_message.Message):
    __slots__ = ("plan_id", "key_hash")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_HASH_FIELD_NUMBER: _ClassVar[int]
    plan_id: bytes
    key_hash: bytes
    def __init__(self, plan_id: _Optional[bytes] = ..., key_hash: _Optional[bytes] = ...) -> None: ...

class Commitment(_message.Message):
    __slots__ = ("plan_hash", "counts", "digests", "sites")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    SITES_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    counts: _containers.RepeatedScalarFieldContainer[int]
    digests: bytes
    sites: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ..., counts: _Optional[_Iterable[int]] = ..., digests: _Optional[bytes] = ..., sites: _Optional[bytes] = ...) -> None: ...

class LedgerHead(_message.Message):
    __slots__ = ("seq", "digest")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    seq: int
    digest: bytes
    def __init__(self, seq: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class Witness(_message.Message):
    __slots__ = ("plan_hash", "stage", "head", "remembered", "confirmed")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    REMEMBERED_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    stage: int
    head: LedgerHead
    remembered: LedgerHead
    confirmed: LedgerHead
    def __init__(self, plan_hash: _Optional[bytes] = ..., stage: _Optional[int] = ..., head: _Optional[_Union[LedgerHead, _Mapping]] = ..., remembered: _Optional[_Union[LedgerHead, _Mapping]] = ..., confirmed: _Optional[_Union[LedgerHead, _Mapping]] = ...) -> None: ...

class ShareDigest(_message.Message):
    __slots__ = ("plan_hash", "digest")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    digest: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ..., digest: _Optional[bytes] = ...) -> None: ...

class SwapPart(_message.Message):
    __slots__ = ("plan_hash", "shares")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    shares: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ..., shares: _Optional[bytes] = ...) -> None: ...

class Finish(_message.Message):
    __slots__ = ("plan_hash", "port")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    port: int
    def __init__(self, plan_hash: _Optional[bytes] = ..., port: _Optional[int] = ...) -> None: ...

class ProvideReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CollectRequest(_message.Message):
    __slots__ = ("plan_hash",)
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ...) -> None: ...

class FreeRequest(_message.Message):
    __slots__ = ("plan_hash",)
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ...) -> None: ...

class FreeReply(_message.Message):
    __slots__ = ("statements",)
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    statements: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, statements: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SharePart(_message.Message):
    __slots__ = ("view", "statement", "sealed", "opened")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    view: int
    statement: bytes
    sealed: bytes
    opened: bytes
    def __init__(self, view: _Optional[int] = ..., statement: _Optional[bytes] = ..., sealed: _Optional[bytes] = ..., opened: _Optional[bytes] = ...) -> None: ...

class SumPart(_message.Message):
    __slots__ = ("plan_hash", "view", "statement", "sums")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    view: int
    statement: bytes
    sums: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ..., view: _Optional[int] = ..., statement: _Optional[bytes] = ..., sums: _Optional[bytes] = ...) -> None: ...

class OpenSumsReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OpenPlanRequest(_message.Message):
    __slots__ = ("signed_plan", "encryption_keys")
    SIGNED_PLAN_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTION_KEYS_FIELD_NUMBER: _ClassVar[int]
    signed_plan: bytes
    encryption_keys: bytes
    def __init__(self, signed_plan: _Optional[bytes] = ..., encryption_keys: _Optional[bytes] = ...) -> None: ...

class OpenPlanReply(_message.Message):
    __slots__ = ("plan_hash",)
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("batch",)
    BATCH_FIELD_NUMBER: _ClassVar[int]
    batch: bytes
    def __init__(self, batch: _Optional[bytes] = ...) -> None: ...

class SubmitReply(_message.Message):
    __slots__ = ("pending", "verdicts")
    PENDING_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    pending: bool
    verdicts: bytes
    def __init__(self, pending: bool = ..., verdicts: _Optional[bytes] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("plan_hash",)
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("role", "plans")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PLANS_FIELD_NUMBER: _ClassVar[int]
    role: str
    plans: _containers.RepeatedCompositeFieldContainer[PlanStatus]
    def __init__(self, role: _Optional[str] = ..., plans: _Optional[_Iterable[_Union[PlanStatus, _Mapping]]] = ...) -> None: ...

class PlanStatus(_message.Message):
    __slots__ = ("plan_hash", "state", "deadline_us", "pending", "rejected")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_US_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    state: str
    deadline_us: int
    pending: int
    rejected: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, plan_hash: _Optional[bytes] = ..., state: _Optional[str] = ..., deadline_us: _Optional[int] = ..., pending: _Optional[int] = ..., rejected: _Optional[_Iterable[int]] = ...) -> None: ...
