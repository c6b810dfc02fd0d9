from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PlannedView(_message.Message):
    __slots__ = ("view", "pane_starts", "min_clients", "min_sites")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    PANE_STARTS_FIELD_NUMBER: _ClassVar[int]
    MIN_CLIENTS_FIELD_NUMBER: _ClassVar[int]
    MIN_SITES_FIELD_NUMBER: _ClassVar[int]
    view: bytes
    pane_starts: _containers.RepeatedScalarFieldContainer[int]
    min_clients: int
    min_sites: int
    def __init__(self, view: _Optional[bytes] = ..., pane_starts: _Optional[_Iterable[int]] = ..., min_clients: _Optional[int] = ..., min_sites: _Optional[int] = ...) -> None: ...

class CollectorKeys(_message.Message):
    __slots__ = ("sign", "seal")
    SIGN_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    sign: bytes
    seal: bytes
    def __init__(self, sign: _Optional[bytes] = ..., seal: _Optional[bytes] = ...) -> None: ...

class AggregatorKeys(_message.Message):
    __slots__ = ("sign", "live")
    SIGN_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    sign: bytes
    live: LiveKeys
    def __init__(self, sign: _Optional[bytes] = ..., live: _Optional[_Union[LiveKeys, _Mapping]] = ...) -> None: ...

class LiveKeys(_message.Message):
    __slots__ = ("seal", "secret_hash", "not_after_us", "signature", "ledger_head")
    SEAL_FIELD_NUMBER: _ClassVar[int]
    SECRET_HASH_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_US_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    LEDGER_HEAD_FIELD_NUMBER: _ClassVar[int]
    seal: bytes
    secret_hash: bytes
    not_after_us: int
    signature: bytes
    ledger_head: bytes
    def __init__(self, seal: _Optional[bytes] = ..., secret_hash: _Optional[bytes] = ..., not_after_us: _Optional[int] = ..., signature: _Optional[bytes] = ..., ledger_head: _Optional[bytes] = ...) -> None: ...

class WireTerms(_message.Message):
    __slots__ = ("leader", "helper", "collector", "deadline_us", "verify_key_hash", "encryption_keys_hash", "roster")
    LEADER_FIELD_NUMBER: _ClassVar[int]
    HELPER_FIELD_NUMBER: _ClassVar[int]
    COLLECTOR_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_US_FIELD_NUMBER: _ClassVar[int]
    VERIFY_KEY_HASH_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTION_KEYS_HASH_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    leader: AggregatorKeys
    helper: AggregatorKeys
    collector: CollectorKeys
    deadline_us: int
    verify_key_hash: bytes
    encryption_keys_hash: bytes
    roster: _containers.RepeatedCompositeFieldContainer[EnrolledSite]
    def __init__(self, leader: _Optional[_Union[AggregatorKeys, _Mapping]] = ..., helper: _Optional[_Union[AggregatorKeys, _Mapping]] = ..., collector: _Optional[_Union[CollectorKeys, _Mapping]] = ..., deadline_us: _Optional[int] = ..., verify_key_hash: _Optional[bytes] = ..., encryption_keys_hash: _Optional[bytes] = ..., roster: _Optional[_Iterable[_Union[EnrolledSite, _Mapping]]] = ...) -> None: ...

class EnrolledSite(_message.Message):
    __slots__ = ("site", "max_clients")
    SITE_FIELD_NUMBER: _ClassVar[int]
    MAX_CLIENTS_FIELD_NUMBER: _ClassVar[int]
    site: str
    max_clients: int
    def __init__(self, site: _Optional[str] = ..., max_clients: _Optional[int] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("id", "views", "protection", "validity", "participation", "noise", "wire", "max_clients", "finish", "report_per", "from_events", "earlier")
    ID_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    PROTECTION_FIELD_NUMBER: _ClassVar[int]
    VALIDITY_FIELD_NUMBER: _ClassVar[int]
    PARTICIPATION_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    WIRE_FIELD_NUMBER: _ClassVar[int]
    MAX_CLIENTS_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    REPORT_PER_FIELD_NUMBER: _ClassVar[int]
    FROM_EVENTS_FIELD_NUMBER: _ClassVar[int]
    EARLIER_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    views: _containers.RepeatedCompositeFieldContainer[PlannedView]
    protection: str
    validity: str
    participation: str
    noise: str
    wire: WireTerms
    max_clients: int
    finish: str
    report_per: str
    from_events: _containers.RepeatedScalarFieldContainer[str]
    earlier: _containers.RepeatedCompositeFieldContainer[Attempt]
    def __init__(self, id: _Optional[bytes] = ..., views: _Optional[_Iterable[_Union[PlannedView, _Mapping]]] = ..., protection: _Optional[str] = ..., validity: _Optional[str] = ..., participation: _Optional[str] = ..., noise: _Optional[str] = ..., wire: _Optional[_Union[WireTerms, _Mapping]] = ..., max_clients: _Optional[int] = ..., finish: _Optional[str] = ..., report_per: _Optional[str] = ..., from_events: _Optional[_Iterable[str]] = ..., earlier: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("plan_hash", "statements")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    statements: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, plan_hash: _Optional[bytes] = ..., statements: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SignedPlan(_message.Message):
    __slots__ = ("plan", "signature")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    plan: bytes
    signature: bytes
    def __init__(self, plan: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...
