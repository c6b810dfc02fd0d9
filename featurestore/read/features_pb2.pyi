from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Values(_message.Message):
    __slots__ = ("strings", "ints", "bools", "doubles", "null")
    STRINGS_FIELD_NUMBER: _ClassVar[int]
    INTS_FIELD_NUMBER: _ClassVar[int]
    BOOLS_FIELD_NUMBER: _ClassVar[int]
    DOUBLES_FIELD_NUMBER: _ClassVar[int]
    NULL_FIELD_NUMBER: _ClassVar[int]
    strings: Strings
    ints: Ints
    bools: Bools
    doubles: Doubles
    null: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, strings: _Optional[_Union[Strings, _Mapping]] = ..., ints: _Optional[_Union[Ints, _Mapping]] = ..., bools: _Optional[_Union[Bools, _Mapping]] = ..., doubles: _Optional[_Union[Doubles, _Mapping]] = ..., null: _Optional[_Iterable[int]] = ...) -> None: ...

class Strings(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Ints(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, values: _Optional[_Iterable[int]] = ...) -> None: ...

class Bools(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[bool]
    def __init__(self, values: _Optional[_Iterable[bool]] = ...) -> None: ...

class Doubles(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class GetFeaturesRequest(_message.Message):
    __slots__ = ("features", "feature_service", "entities", "intervals")
    class EntitiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Values
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Values, _Mapping]] = ...) -> None: ...
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    FEATURE_SERVICE_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    INTERVALS_FIELD_NUMBER: _ClassVar[int]
    features: _containers.RepeatedScalarFieldContainer[str]
    feature_service: str
    entities: _containers.MessageMap[str, Values]
    intervals: bool
    def __init__(self, features: _Optional[_Iterable[str]] = ..., feature_service: _Optional[str] = ..., entities: _Optional[_Mapping[str, Values]] = ..., intervals: bool = ...) -> None: ...

class GetFeaturesReply(_message.Message):
    __slots__ = ("names", "rows", "values", "se", "status", "epoch", "lo", "hi")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LO_FIELD_NUMBER: _ClassVar[int]
    HI_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    rows: int
    values: bytes
    se: bytes
    status: bytes
    epoch: int
    lo: bytes
    hi: bytes
    def __init__(self, names: _Optional[_Iterable[str]] = ..., rows: _Optional[int] = ..., values: _Optional[bytes] = ..., se: _Optional[bytes] = ..., status: _Optional[bytes] = ..., epoch: _Optional[int] = ..., lo: _Optional[bytes] = ..., hi: _Optional[bytes] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("view", "after")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    view: str
    after: int
    def __init__(self, view: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class Published(_message.Message):
    __slots__ = ("view", "version", "seq", "release_id", "pane_start", "pane_end", "released_at", "published_at", "state", "reason")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    PANE_START_FIELD_NUMBER: _ClassVar[int]
    PANE_END_FIELD_NUMBER: _ClassVar[int]
    RELEASED_AT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    view: str
    version: int
    seq: int
    release_id: bytes
    pane_start: int
    pane_end: int
    released_at: int
    published_at: int
    state: str
    reason: str
    def __init__(self, view: _Optional[str] = ..., version: _Optional[int] = ..., seq: _Optional[int] = ..., release_id: _Optional[bytes] = ..., pane_start: _Optional[int] = ..., pane_end: _Optional[int] = ..., released_at: _Optional[int] = ..., published_at: _Optional[int] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReadPart(_message.Message):
    __slots__ = ("call", "data")
    CALL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    call: ReadCall
    data: bytes
    def __init__(self, call: _Optional[_Union[ReadCall, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ReadCall(_message.Message):
    __slots__ = ("name", "arguments")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    arguments: str
    def __init__(self, name: _Optional[str] = ..., arguments: _Optional[str] = ...) -> None: ...

class Bytes(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...
