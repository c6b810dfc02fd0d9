"""A feature view as canonical protobuf, and its definition hash. Only canonical bytes are read."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from functools import lru_cache

from google.protobuf.message import DecodeError

from featurestore.errors import FeatureStoreError, ViewMalformed

from . import view_pb2 as pb
from .definitions import MECHANISMS, Bounds, FeatureView, Privacy
from .entities import Entity, KeyValue
from .features import ClientCount, Count, Feature, Histogram, Mean, Rate
from .filtered import Filtered


@lru_cache(maxsize=256)
def view_to_bytes(view: FeatureView) -> bytes:
    """The canonical encoding of a view: equal views give equal bytes, on every machine."""
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
        min_coverage=view.min_coverage,
        owner=view.owner,
        tags=[pb.Tag(key=key, value=value) for key, value in view.tags.items()],
        description=view.description,
        mechanism="" if view.privacy.mechanism == "gaussian" else view.privacy.mechanism,
        micro_epsilon=view.privacy.micro_epsilon,
    )
    return message.SerializeToString(deterministic=True)


def view_from_bytes(data: bytes) -> FeatureView:
    """The view that these canonical bytes encode.

    Raises:
        ViewMalformed: not protobuf, not canonical, or not a valid view; then its cause is what the view is refused for,
            such as an `ExpressionRefused`.
    """
    try:
        message = pb.FeatureView.FromString(data)
    except DecodeError:
        raise ViewMalformed("the bytes of a feature view are not protobuf") from None
    try:
        view = _view_from_pb(message)
    except (ValueError, ZeroDivisionError, FeatureStoreError) as error:
        raise ViewMalformed(f"the bytes are no valid feature view: {error}") from error
    if view_to_bytes(view) != data:
        raise ViewMalformed(f"the bytes of feature view {view.name!r} are not canonical")
    return view


@lru_cache(maxsize=256)
def definition_hash(view: FeatureView) -> bytes:
    """SHA-256 of the canonical bytes: 32 bytes that change with anything in the definition."""
    return hashlib.sha256(view_to_bytes(view)).digest()


def _view_from_pb(message: pb.FeatureView) -> FeatureView:
    return FeatureView(
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
        min_coverage=message.min_coverage,
        owner=message.owner,
        tags={tag.key: tag.value for tag in message.tags},
        description=message.description,
    )


def _privacy_from_pb(message: pb.FeatureView) -> Privacy:
    """Both prices are read where both stand there: such a view is refused."""
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
            )
    raise ViewMalformed(f"unknown mechanism {mechanism!r}; known are {' and '.join(MECHANISMS)}")


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
    raise ViewMalformed("a join key without a value")


def _feature_to_pb(feature: Feature) -> pb.Feature:
    if isinstance(feature, Filtered):
        return _filtered_to_pb(feature)
    weight = Fraction(feature.weight)
    message = pb.Feature(
        name=feature.name,
        weight=pb.Weight(numerator=str(weight.numerator), denominator=str(weight.denominator)),
        description=feature.description,
    )
    match feature:
        case Count():
            message.count.SetInParent()
            message.count.derive = feature.derive
        case ClientCount():
            message.client_count.SetInParent()
        case Mean():
            low, high = feature.bounds
            message.mean.CopyFrom(pb.Mean(column=feature.column, low=low, high=high, resolution=feature.step))
        case Histogram():
            edges = [float(edge) for edge in feature.edges]
            message.histogram.CopyFrom(pb.Histogram(column=feature.column, edges=edges, nulls=feature.nulls))
        case Rate():
            message.rate.CopyFrom(pb.Rate(where=feature.where, derive=feature.derive))
    return message


def _filtered_to_pb(filtered: Filtered) -> pb.Feature:
    settings = pb.Filtered(
        rate=filtered.rate,
        half_life=filtered.half_life,
        sd=filtered.sd,
        season=filtered.season or "",
        tz=filtered.tz,
        scaled=filtered.scaled,
        baseline_half_life=filtered.baseline_half_life,
        baseline_variance=filtered.baseline_variance,
    )
    return pb.Feature(name=filtered.name, description=filtered.description, filtered=settings)


def _filtered_from_pb(message: pb.Feature) -> Filtered:
    settings = message.filtered
    return Filtered(
        settings.rate,
        settings.half_life,
        sd=settings.sd,
        season=settings.season or None,
        tz=settings.tz,
        scaled=settings.scaled,
        baseline_half_life=settings.baseline_half_life,
        baseline_variance=settings.baseline_variance,
        name=message.name,
        description=message.description,
    )


def _feature_from_pb(message: pb.Feature) -> Feature:
    if message.WhichOneof("kind") == "filtered":
        return _filtered_from_pb(message)
    weight = Fraction(int(message.weight.numerator), int(message.weight.denominator))
    name, text = message.name, message.description
    match message.WhichOneof("kind"):
        case "count":
            return Count(name, derive=message.count.derive, weight=weight, description=text)
        case "client_count":
            return ClientCount(name, weight=weight, description=text)
        case "mean":
            mean = message.mean
            clip = (mean.low, mean.high)
            return Mean(mean.column, clip=clip, resolution=mean.resolution, name=name, weight=weight, description=text)
        case "histogram":
            hist = message.histogram
            edges = tuple(hist.edges)
            return Histogram(hist.column, edges=edges, nulls=hist.nulls, name=name, weight=weight, description=text)
        case "rate":
            rate = message.rate
            return Rate(name, where=rate.where, derive=rate.derive, weight=weight, description=text)
    raise ViewMalformed(f"feature {name!r} has no kind")
