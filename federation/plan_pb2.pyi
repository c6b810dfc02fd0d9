from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PlannedView(_message.Message):
    __slots__ = ("view", "pane_starts", "min_clients")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    PANE_STARTS_FIELD_NUMBER: _ClassVar[int]
    MIN_CLIENTS_FIELD_NUMBER: _ClassVar[int]
    view: bytes
    pane_starts: _containers.RepeatedScalarFieldContainer[int]
    min_clients: int
    def __init__(self, view: _Optional[bytes] = ..., pane_starts: _Optional[_Iterable[int]] = ..., min_clients: _Optional[int] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("id", "views", "protection", "validity", "participation", "noise")
    ID_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    PROTECTION_FIELD_NUMBER: _ClassVar[int]
    VALIDITY_FIELD_NUMBER: _ClassVar[int]
    PARTICIPATION_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    views: _containers.RepeatedCompositeFieldContainer[PlannedView]
    protection: str
    validity: str
    participation: str
    noise: str
    def __init__(self, id: _Optional[bytes] = ..., views: _Optional[_Iterable[_Union[PlannedView, _Mapping]]] = ..., protection: _Optional[str] = ..., validity: _Optional[str] = ..., participation: _Optional[str] = ..., noise: _Optional[str] = ...) -> None: ...
