from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BatchHeader(_message.Message):
    __slots__ = ("plan_hash", "site", "batch_id", "collections", "report_ids", "public_hashes", "clients", "leader_head", "helper_head")
    PLAN_HASH_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    REPORT_IDS_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_HASHES_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    LEADER_HEAD_FIELD_NUMBER: _ClassVar[int]
    HELPER_HEAD_FIELD_NUMBER: _ClassVar[int]
    plan_hash: bytes
    site: str
    batch_id: bytes
    collections: bytes
    report_ids: bytes
    public_hashes: bytes
    clients: bytes
    leader_head: bytes
    helper_head: bytes
    def __init__(self, plan_hash: _Optional[bytes] = ..., site: _Optional[str] = ..., batch_id: _Optional[bytes] = ..., collections: _Optional[bytes] = ..., report_ids: _Optional[bytes] = ..., public_hashes: _Optional[bytes] = ..., clients: _Optional[bytes] = ..., leader_head: _Optional[bytes] = ..., helper_head: _Optional[bytes] = ...) -> None: ...

class SignedHeader(_message.Message):
    __slots__ = ("header", "leader_digest", "helper_digest", "signature")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    LEADER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    HELPER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    leader_digest: bytes
    helper_digest: bytes
    signature: bytes
    def __init__(self, header: _Optional[bytes] = ..., leader_digest: _Optional[bytes] = ..., helper_digest: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class SealedBatch(_message.Message):
    __slots__ = ("signed", "leader", "helper")
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    HELPER_FIELD_NUMBER: _ClassVar[int]
    signed: SignedHeader
    leader: bytes
    helper: bytes
    def __init__(self, signed: _Optional[_Union[SignedHeader, _Mapping]] = ..., leader: _Optional[bytes] = ..., helper: _Optional[bytes] = ...) -> None: ...

class SealedHalf(_message.Message):
    __slots__ = ("signed", "ciphertext")
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    signed: SignedHeader
    ciphertext: bytes
    def __init__(self, signed: _Optional[_Union[SignedHeader, _Mapping]] = ..., ciphertext: _Optional[bytes] = ...) -> None: ...
