"""A feature view as canonical protobuf, and its definition hash. Only canonical bytes are read."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, assert_never

from google.protobuf.message import DecodeError

from featurestore.errors import FeatureStoreError, ViewMalformed

from . import view_pb2 as pb
from .definitions import FeatureView
from .entities import Entity, KeyValue
from .feature import KINDS, PaneFeature, Setting, ViewFeature
from .privacy import MECHANISMS, NOISER_CHOICES, Bounds, Noisers, Privacy

_KIND_FIELDS: Final = frozenset(field.name for field in pb.Feature.DESCRIPTOR.oneofs_by_name["kind"].fields) - {
    "custom"
}
"""The kinds that have a message of their own; every other kind is encoded as a Custom."""
_COLLECTION: Final = b"covey-1 collection"


@lru_cache(maxsize=256)
def view_to_bytes(view: FeatureView) -> bytes:
    """The canonical encoding of a view: equal views have equal bytes on every machine."""
    message = pb.FeatureView(
        name=view.name,
        entity=_entity_to_pb(view.entity),
        features=[_feature_to_pb(feature) for feature in view.features],
        pane=view.pane,
        windows=view.windows,
        time=view.time or "",
        max_cells=view.bounds.max_cells,
        max_events_per_cell=view.bounds.max_events_per_cell,
        micro_rho=view.privacy.micro_rho,
        delta=view.privacy.delta,
        min_clients=view.privacy.min_clients,
        suppress_below=view.privacy.suppress_below or 0,
        release_delay=view.release_delay,
        grace=view.grace,
        ttl=view.ttl or "",
        retention=view.retention or "",
        min_coverage=view.min_coverage,
        owner=view.owner,
        tags=[pb.Tag(key=key, value=value) for key, value in view.tags.items()],
        description=view.description,
        mechanism="" if view.privacy.mechanism == "gaussian" else view.privacy.mechanism,
        micro_epsilon=view.privacy.micro_epsilon,
        min_site_coverage=view.min_site_coverage,
        noisers=_noisers_to_pb(view.privacy.chosen_noisers),
    )
    return message.SerializeToString(deterministic=True)


def view_from_bytes(data: bytes) -> FeatureView:
    """The view of canonical bytes.

    Raises:
        ViewMalformed: the bytes are not protobuf, not canonical, or not a valid view. For an invalid view its cause is the
            view's error, such as an `ExpressionRefused`.
    """
    try:
        message = pb.FeatureView.FromString(data)
    except DecodeError:
        raise ViewMalformed("the bytes are not the protobuf message of a feature view") from None
    try:
        view = _view_from_pb(message)
    except (ValueError, ZeroDivisionError, FeatureStoreError) as error:
        raise ViewMalformed(f"the bytes are not a valid feature view: {error}") from error
    if view_to_bytes(view) != data:
        raise ViewMalformed(f"the bytes of feature view {view.name!r} are not canonical")
    return view


@lru_cache(maxsize=256)
def definition_hash(view: FeatureView) -> bytes:
    """SHA-256 of the canonical bytes: 32 bytes. Every part of the definition changes it."""
    return hashlib.sha256(view_to_bytes(view)).digest()


@lru_cache(maxsize=256)
def collection_hash(view: FeatureView) -> bytes:
    """SHA-256 of what decides which sums of a view are collected, and at which price (32 bytes).

    Windows, ttl, retention, descriptions, owner, tags and features that follow from other features do not change it: the same panes
    give them. The view's name does, because budgets belong to it.
    """
    message = pb.FeatureView(
        name=view.name,
        entity=_entity_to_pb(view.entity),
        features=[_collected(feature) for feature in view.features if isinstance(feature, PaneFeature)],
        pane=view.pane,
        time=view.time or "",
        max_cells=view.bounds.max_cells,
        max_events_per_cell=view.bounds.max_events_per_cell,
        micro_rho=view.privacy.micro_rho,
        delta=view.privacy.delta,
        min_clients=view.privacy.min_clients,
        suppress_below=view.privacy.suppress_below or 0,
        mechanism=view.privacy.mechanism,
        micro_epsilon=view.privacy.micro_epsilon,
        noisers=_noisers_to_pb(view.privacy.chosen_noisers),
    )
    return hashlib.sha256(_COLLECTION + message.SerializeToString(deterministic=True)).digest()


def encoding_to_bytes(feature: PaneFeature) -> bytes:
    """What a feature collects: its kind and settings. Features with equal bytes have sums of the same events."""
    message = _collected(feature)
    message.ClearField("weight")
    return message.SerializeToString(deterministic=True)


def _collected(feature: PaneFeature) -> pb.Feature:
    """A feature without its name and its texts."""
    message = _feature_to_pb(feature)
    message.ClearField("name")
    message.ClearField("description")
    return message


def _view_from_pb(message: pb.FeatureView) -> FeatureView:
    view = FeatureView(
        message.name,
        entity=_entity_from_pb(message.entity),
        features=[_feature_from_pb(feature) for feature in message.features],
        pane=message.pane,
        windows=message.windows,
        time=message.time or None,
        bounds=Bounds(message.max_cells, message.max_events_per_cell),
        privacy=_privacy_from_pb(message),
        release_delay=message.release_delay,
        grace=message.grace,
        ttl=message.ttl or None,
        retention=message.retention or None,
        min_coverage=message.min_coverage,
        min_site_coverage=message.min_site_coverage,
        owner=message.owner,
        tags={tag.key: tag.value for tag in message.tags},
        description=message.description,
    )
    return view.as_declared()


def _privacy_from_pb(message: pb.FeatureView) -> Privacy:
    """The price of a view. Bytes with both prices give both, and the checks of the view refuse that."""
    mechanism = message.mechanism or "gaussian"
    for known in MECHANISMS:
        if mechanism == known:
            return Privacy(
                rho=_price(message.micro_rho),
                epsilon=_price(message.micro_epsilon),
                delta=message.delta,
                min_clients=message.min_clients,
                suppress_below=message.suppress_below or None,
                mechanism=known,
                noisers=_noisers_from_pb(message.noisers),
            )
    raise ViewMalformed(f"unknown mechanism {mechanism!r}; known are {' and '.join(MECHANISMS)}")


def _noisers_to_pb(noisers: Noisers) -> str:
    match noisers:
        case "each":
            return ""
        case "shared":
            return noisers
        case _:
            assert_never(noisers)


def _noisers_from_pb(text: str) -> Noisers:
    """The noisers of a view; never None, so that no project's default changes a view of bytes."""
    for known in NOISER_CHOICES:
        if text == _noisers_to_pb(known):
            return known
    raise ViewMalformed(f"unknown noisers {text[:80]!r}; known are {' and '.join(NOISER_CHOICES)}")


def _price(millionths: int) -> Fraction | None:
    return Fraction(millionths, 10**6) if millionths else None


def _entity_to_pb(entity: Entity) -> pb.Entity:
    keys = [pb.Key(parts=[_part_to_pb(part) for part in key]) for key in entity.domain]
    return pb.Entity(keys=entity.keys, columns=() if entity.constant else entity.columns, domain=keys)


def _part_to_pb(part: KeyValue) -> pb.KeyPart:
    if isinstance(part, bool):
        return pb.KeyPart(flag=part)
    return pb.KeyPart(text=part) if isinstance(part, str) else pb.KeyPart(number=part)


def _entity_from_pb(message: pb.Entity) -> Entity:
    domain = [tuple(_part_from_pb(part) for part in key.parts) for key in message.domain]
    if not message.columns:
        if len(domain) != 1:
            raise ViewMalformed("a constant entity has one key")
        return Entity(list(message.keys), value=domain[0])
    return Entity(list(message.keys), domain=domain, column=list(message.columns))


def _part_from_pb(part: pb.KeyPart) -> KeyValue:
    match part.WhichOneof("value"):
        case "text":
            return part.text
        case "number":
            return part.number
        case "flag":
            return part.flag
    raise ViewMalformed("a join key has no value")


def _feature_to_pb(feature: ViewFeature) -> pb.Feature:
    message = pb.Feature(name=feature.name, description=feature.description)
    if isinstance(feature, PaneFeature):
        numerator, denominator = Fraction(feature.weight).as_integer_ratio()
        message.weight.CopyFrom(pb.Weight(numerator=str(numerator), denominator=str(denominator)))
    if feature.spelling not in _KIND_FIELDS:
        settings = [_setting_to_pb(name, value) for name, value in sorted(feature.settings().items())]
        message.custom.CopyFrom(pb.Custom(kind=feature.spelling, settings=settings))
        return message
    kind = getattr(message, feature.spelling)
    kind.SetInParent()
    for name, value in feature.settings().items():
        if isinstance(value, str | float | bool):
            setattr(kind, name, value)
        else:
            getattr(kind, name).extend(value)
    return message


def _setting_to_pb(name: str, value: Setting) -> pb.Setting:
    match value:
        case bool():
            return pb.Setting(name=name, flag=value)
        case str():
            return pb.Setting(name=name, text=value)
        case float():
            return pb.Setting(name=name, number=value)
        case _:
            return pb.Setting(name=name, numbers=pb.Numbers(values=value))


def _feature_from_pb(message: pb.Feature) -> ViewFeature:
    spelling = message.WhichOneof("kind")
    if spelling is None:
        raise ViewMalformed(f"feature {message.name!r} has no kind")
    if spelling == "custom":
        spelling, settings = message.custom.kind, dict(map(_setting_from_pb, message.custom.settings))
    else:
        read = getattr(message, spelling)
        settings = {field.name: getattr(read, field.name) for field in read.DESCRIPTOR.fields}
    kind = KINDS.get(spelling)
    if kind is None:
        raise ViewMalformed(
            f"feature {message.name!r} is of the kind {spelling[:80]!r}, which is unknown here; known are {', '.join(KINDS)}"
        )
    common: dict[str, Any] = {"name": message.name, "description": message.description}
    if issubclass(kind, PaneFeature):
        common["weight"] = Fraction(int(message.weight.numerator), int(message.weight.denominator))
    try:
        return kind.of(settings, **common)
    except (KeyError, TypeError) as error:
        raise ViewMalformed(
            f"feature {message.name!r} does not have the settings of its kind, {spelling}: {error}"
        ) from None


def _setting_from_pb(message: pb.Setting) -> tuple[str, str | float | bool | tuple[float, ...]]:
    match message.WhichOneof("value"):
        case "text":
            return message.name, message.text
        case "number":
            return message.name, message.number
        case "flag":
            return message.name, message.flag
        case "numbers":
            return message.name, tuple(message.numbers.values)
    raise ViewMalformed(f"the setting {message.name!r} has no value")
