from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KeyPart(_message.Message):
    __slots__ = ("text", "number", "flag")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: int
    flag: bool
    def __init__(self, text: _Optional[str] = ..., number: _Optional[int] = ..., flag: bool = ...) -> None: ...

class Key(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[KeyPart]
    def __init__(self, parts: _Optional[_Iterable[_Union[KeyPart, _Mapping]]] = ...) -> None: ...

class Entity(_message.Message):
    __slots__ = ("keys", "columns", "domain")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    columns: _containers.RepeatedScalarFieldContainer[str]
    domain: _containers.RepeatedCompositeFieldContainer[Key]
    def __init__(self, keys: _Optional[_Iterable[str]] = ..., columns: _Optional[_Iterable[str]] = ..., domain: _Optional[_Iterable[_Union[Key, _Mapping]]] = ...) -> None: ...

class Weight(_message.Message):
    __slots__ = ("numerator", "denominator")
    NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    numerator: str
    denominator: str
    def __init__(self, numerator: _Optional[str] = ..., denominator: _Optional[str] = ...) -> None: ...

class Feature(_message.Message):
    __slots__ = ("name", "weight", "description", "count", "client_count", "mean", "histogram", "rate", "filtered", "custom")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    FILTERED_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_FIELD_NUMBER: _ClassVar[int]
    name: str
    weight: Weight
    description: str
    count: Count
    client_count: ClientCount
    mean: Mean
    histogram: Histogram
    rate: Rate
    filtered: Filtered
    custom: Custom
    def __init__(self, name: _Optional[str] = ..., weight: _Optional[_Union[Weight, _Mapping]] = ..., description: _Optional[str] = ..., count: _Optional[_Union[Count, _Mapping]] = ..., client_count: _Optional[_Union[ClientCount, _Mapping]] = ..., mean: _Optional[_Union[Mean, _Mapping]] = ..., histogram: _Optional[_Union[Histogram, _Mapping]] = ..., rate: _Optional[_Union[Rate, _Mapping]] = ..., filtered: _Optional[_Union[Filtered, _Mapping]] = ..., custom: _Optional[_Union[Custom, _Mapping]] = ...) -> None: ...

class Count(_message.Message):
    __slots__ = ("derive",)
    DERIVE_FIELD_NUMBER: _ClassVar[int]
    derive: bool
    def __init__(self, derive: bool = ...) -> None: ...

class ClientCount(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Mean(_message.Message):
    __slots__ = ("column", "low", "high", "resolution")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    column: str
    low: float
    high: float
    resolution: float
    def __init__(self, column: _Optional[str] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., resolution: _Optional[float] = ...) -> None: ...

class Histogram(_message.Message):
    __slots__ = ("column", "edges", "nulls")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    NULLS_FIELD_NUMBER: _ClassVar[int]
    column: str
    edges: _containers.RepeatedScalarFieldContainer[float]
    nulls: bool
    def __init__(self, column: _Optional[str] = ..., edges: _Optional[_Iterable[float]] = ..., nulls: bool = ...) -> None: ...

class Rate(_message.Message):
    __slots__ = ("where", "derive")
    WHERE_FIELD_NUMBER: _ClassVar[int]
    DERIVE_FIELD_NUMBER: _ClassVar[int]
    where: str
    derive: bool
    def __init__(self, where: _Optional[str] = ..., derive: bool = ...) -> None: ...

class Filtered(_message.Message):
    __slots__ = ("rate", "half_life", "sd", "season", "tz", "scaled", "baseline_half_life", "baseline_variance")
    RATE_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_FIELD_NUMBER: _ClassVar[int]
    SD_FIELD_NUMBER: _ClassVar[int]
    SEASON_FIELD_NUMBER: _ClassVar[int]
    TZ_FIELD_NUMBER: _ClassVar[int]
    SCALED_FIELD_NUMBER: _ClassVar[int]
    BASELINE_HALF_LIFE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_VARIANCE_FIELD_NUMBER: _ClassVar[int]
    rate: str
    half_life: str
    sd: float
    season: str
    tz: str
    scaled: bool
    baseline_half_life: str
    baseline_variance: float
    def __init__(self, rate: _Optional[str] = ..., half_life: _Optional[str] = ..., sd: _Optional[float] = ..., season: _Optional[str] = ..., tz: _Optional[str] = ..., scaled: bool = ..., baseline_half_life: _Optional[str] = ..., baseline_variance: _Optional[float] = ...) -> None: ...

class Custom(_message.Message):
    __slots__ = ("kind", "settings")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    def __init__(self, kind: _Optional[str] = ..., settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ...) -> None: ...

class Setting(_message.Message):
    __slots__ = ("name", "text", "number", "flag", "numbers")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: str
    number: float
    flag: bool
    numbers: Numbers
    def __init__(self, name: _Optional[str] = ..., text: _Optional[str] = ..., number: _Optional[float] = ..., flag: bool = ..., numbers: _Optional[_Union[Numbers, _Mapping]] = ...) -> None: ...

class Numbers(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class FeatureView(_message.Message):
    __slots__ = ("name", "entity", "features", "pane", "windows", "time", "max_cells", "max_events_per_cell", "micro_rho", "delta", "min_clients", "suppress_below", "release_delay", "grace", "ttl", "min_coverage", "owner", "tags", "description", "mechanism", "micro_epsilon", "min_site_coverage", "noisers", "retention")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    PANE_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_CELLS_FIELD_NUMBER: _ClassVar[int]
    MAX_EVENTS_PER_CELL_FIELD_NUMBER: _ClassVar[int]
    MICRO_RHO_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    MIN_CLIENTS_FIELD_NUMBER: _ClassVar[int]
    SUPPRESS_BELOW_FIELD_NUMBER: _ClassVar[int]
    RELEASE_DELAY_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    MIN_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MECHANISM_FIELD_NUMBER: _ClassVar[int]
    MICRO_EPSILON_FIELD_NUMBER: _ClassVar[int]
    MIN_SITE_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    NOISERS_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    entity: Entity
    features: _containers.RepeatedCompositeFieldContainer[Feature]
    pane: str
    windows: _containers.RepeatedScalarFieldContainer[str]
    time: str
    max_cells: int
    max_events_per_cell: int
    micro_rho: int
    delta: float
    min_clients: int
    suppress_below: int
    release_delay: str
    grace: str
    ttl: str
    min_coverage: float
    owner: str
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    description: str
    mechanism: str
    micro_epsilon: int
    min_site_coverage: float
    noisers: str
    retention: str
    def __init__(self, name: _Optional[str] = ..., entity: _Optional[_Union[Entity, _Mapping]] = ..., features: _Optional[_Iterable[_Union[Feature, _Mapping]]] = ..., pane: _Optional[str] = ..., windows: _Optional[_Iterable[str]] = ..., time: _Optional[str] = ..., max_cells: _Optional[int] = ..., max_events_per_cell: _Optional[int] = ..., micro_rho: _Optional[int] = ..., delta: _Optional[float] = ..., min_clients: _Optional[int] = ..., suppress_below: _Optional[int] = ..., release_delay: _Optional[str] = ..., grace: _Optional[str] = ..., ttl: _Optional[str] = ..., min_coverage: _Optional[float] = ..., owner: _Optional[str] = ..., tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ..., description: _Optional[str] = ..., mechanism: _Optional[str] = ..., micro_epsilon: _Optional[int] = ..., min_site_coverage: _Optional[float] = ..., noisers: _Optional[str] = ..., retention: _Optional[str] = ...) -> None: ...

class Tag(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
