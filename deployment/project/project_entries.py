"""The sections of `covey.toml`, each with the types of its entries."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainValidator, Strict, model_validator

from base.config import ConfigModel, Flag, checked
from base.times import parse_duration
from base.tls.hosts import join_address, split_address
from crypto.seal import SealPublicKey
from featurestore.define.privacy import Noisers
from federation.config_values import AllowedValidity, FormerSections, MicroRho, SigningKey, node_certificate, seal_key
from federation.node_keys import NodeCertificate


class NameSection(ConfigModel):
    """`[project]`."""

    name: Annotated[str, Field(examples=['"…"'])]


class PrivacySection(ConfigModel):
    """`[privacy]`: the limits of this operator's aggregator."""

    budget: MicroRho
    allow_noise_off: Flag
    validity: AllowedValidity = None
    noisers: Noisers = "each"
    quota: Annotated[dict[str, MicroRho], Field(examples=["{view = RHO}"])] = Field(default_factory=dict)


def _min_sites(value: object) -> int | Fraction:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, Decimal) and 0 < value <= 1:
        return Fraction(value)
    raise ValueError("a whole number of sites, or a share of the roster above 0 and at most 1.0")


def _duration(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError("a duration, such as 30d or 12h, in quotes")
    return parse_duration(value)


class ViewCollectionSection(ConfigModel):
    """`[collection.views.NAME]`: what one view needs instead."""

    min_sites: Annotated[int | Fraction, PlainValidator(_min_sites), Field(examples=["N or 0.8"])]


class CollectionSection(ConfigModel):
    """`[collection]`: the coordinator's settings."""

    min_sites: Annotated[int | Fraction, PlainValidator(_min_sites), Field(examples=["N or 0.8"])] = 1
    give_up_after: Annotated[int, PlainValidator(_duration), Field(examples=['"30d"'])] | None = None
    views: dict[str, ViewCollectionSection] = Field(default_factory=dict)


class PartySection(ConfigModel):
    """`[coordinator]`."""

    sign: SigningKey


class AggregatorSection(PartySection):
    """`[leader]` or `[helper]`. Their seal keys are not here: they live for one plan."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_long_lived_keys(cls, entries: object) -> object:
        if isinstance(entries, Mapping) and "seal" in entries:
            raise ValueError(
                "`seal` is from an older version; seal keys now live for one plan. Make new keys of every role "
                "(`covey keys init ROLE`) and new project files (`covey init`)"
            )
        return entries


class CollectorSection(PartySection):
    """`[collector]`."""

    seal: Annotated[SealPublicKey, PlainValidator(seal_key), Field(examples=['"…"'])]


class SiteSection(PartySection):
    """`[[site]]`: an entry of the roster."""

    id: Annotated[str, Field(examples=['"…"'])]
    max_clients: Annotated[int, Field(examples=["N"])]
    node: Annotated[NodeCertificate, PlainValidator(node_certificate), Field(examples=['"…"'])] | None = None


def _address(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('an address, such as "127.0.0.1:7301", in quotes')
    return join_address(*split_address(value))


Address = Annotated[str, PlainValidator(_address), Field(examples=['"HOST:PORT"'])]


class NetworkSection(ConfigModel):
    """`[network]`: where the roles listen, and where their peers reach them."""

    leader: Address | None = None
    helper: Address | None = None
    keyholder: Address | None = None
    provider: Address | None = None
    superlink: Address | None = None
    server: Address | None = None


class ProjectEntries(ConfigModel):
    """The whole file. It ignores the sections of other readers, such as `[online]`."""

    model_config = ConfigDict(extra="ignore")

    project: NameSection
    privacy: PrivacySection
    collection: CollectionSection = Field(default_factory=CollectionSection)
    coordinator: PartySection
    collector: CollectorSection
    leader: AggregatorSection
    helper: AggregatorSection
    network: NetworkSection = Field(default_factory=NetworkSection)
    site: Annotated[tuple[SiteSection, ...], Strict(False)] = ()
    former: FormerSections = ()


def read_entries(entries: Mapping[str, Any], path: Path) -> ProjectEntries:
    """Raises ConfigInvalid."""
    return checked(ProjectEntries, entries, path)
