"""The types of values that several configuration files share: a price in ρ, a public signing key, the allowed terms."""

from __future__ import annotations

import base64
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator, Strict

from base.config import ConfigModel
from base.times import to_us, utc_text
from crypto.errors import CryptoError
from crypto.seal import SealPublicKey
from crypto.signing import VerifyKey
from featurestore.define.privacy import Noisers

from .errors import NodeKeyInvalid, PartyInvalid
from .former_keys import FormerKey, FormerKeys
from .keys import require_role
from .node_keys import NodeCertificate
from .price import Observer
from .rho import micro_rho_of
from .terms import Participation, Protection, ReportPer, Validity

ANY: Final = "any"
"""The word in a file that allows plans of every kind."""


def bytes_of_text(value: object) -> bytes:
    """The bytes of a base64 text. Raises ValueError, as pydantic expects."""
    if not isinstance(value, str) or not value:
        raise ValueError("write the key as base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise ValueError(f"{value[:80]!r} is not base64") from None


def _micro_rho(value: object) -> int:
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        raise ValueError(f"rho must be a number such as 0.1, not {str(value)[:80]!r}")
    return micro_rho_of(value)


def _verify_key(value: object) -> VerifyKey:
    try:
        return VerifyKey(bytes_of_text(value))
    except CryptoError as error:
        raise ValueError(str(error)) from None


def seal_key(value: object) -> SealPublicKey:
    """The public seal key of a base64 text. Raises ValueError, as pydantic expects."""
    try:
        return SealPublicKey(bytes_of_text(value))
    except CryptoError as error:
        raise ValueError(str(error)) from None


def node_certificate(value: object) -> NodeCertificate:
    """A site's node key of a base64 text; its signature is not verified yet. Raises ValueError, as pydantic expects."""
    try:
        return NodeCertificate.from_bytes(bytes_of_text(value))
    except NodeKeyInvalid as error:
        raise ValueError(str(error)) from None


def _allowed(*choices: str) -> Any:
    """The validator of an entry that names one of these choices, or `any`, which is None."""
    return _one_of({ANY: None, **{str(choice): choice for choice in choices}})


def _one_of(by_word: dict[str, Any]) -> Any:
    """The validator of an entry that is one of these words."""
    *others, last = map(repr, by_word)

    def read(value: object) -> Any:
        if not isinstance(value, str) or value not in by_word:
            shown = repr(value[:80]) if isinstance(value, str) else str(value).lower()[:80]
            raise ValueError(f"it must be {', '.join(others)} or {last}, not {shown}")
        return by_word[value]

    return PlainValidator(read)


def allowed_text(choice: str | None) -> str:
    """The word in a file that allows only plans of this kind; None: every kind."""
    return ANY if choice is None else str(choice)


AllowedProtection = Annotated[Protection | None, _allowed(*Protection)]
AllowedValidity = Annotated[Validity | None, _allowed(Validity.PRIO3)]
"""A policy demands proofs, or allows any plan; it cannot demand plans without proofs."""
AllowedReportPer = Annotated[ReportPer | None, _allowed(ReportPer.CLIENT)]
AllowedNoisers = Annotated[Noisers | None, _allowed("each")]
AllowedParticipation = Annotated[Participation | None, _allowed(*Participation)]

CountedPrices = Annotated[Observer, _one_of({choice.value: choice for choice in Observer})]
"""The prices that a budget counts."""


def _moment(value: object) -> int:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("a time in UTC, such as 2026-12-07T00:00:00Z, without quotes")
    return to_us(value)


def _role(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a role, such as leader or site-1, in quotes")
    try:
        return require_role(value)
    except PartyInvalid as error:
        raise ValueError(str(error)) from None


MicroRho = Annotated[int, PlainValidator(_micro_rho), Field(examples=["0.1"])]
"""Millionths of ρ, written as a decimal number of ρ."""
SigningKey = Annotated[VerifyKey, PlainValidator(_verify_key), Field(examples=['"…"'])]
"""A public Ed25519 key, written as base64."""


class FormerSection(ConfigModel):
    """`[[former]]`: a key that a role has replaced; it is the role's key for plans whose deadline is not after `until`.

    `lost`: it was lost or stolen (former_keys.py).
    """

    role: Annotated[str, PlainValidator(_role), Field(examples=['"…"'])]
    sign: SigningKey
    until: Annotated[int, PlainValidator(_moment), Field(examples=["2026-12-07T00:00:00Z"])]
    seal: Annotated[SealPublicKey, PlainValidator(seal_key), Field(examples=['"…"'])] | None = None
    node: Annotated[NodeCertificate, PlainValidator(node_certificate), Field(examples=['"…"'])] | None = None
    lost: bool = False


FormerSections = Annotated[tuple[FormerSection, ...], Strict(False)]
"""The former keys of a file, each role's oldest first."""


def former_keys_of(sections: FormerSections) -> FormerKeys:
    """The former keys of a file."""
    return FormerKeys(tuple(FormerKey(one.role, one.sign, one.until, one.seal, one.node, one.lost) for one in sections))


def former_to_toml(former: FormerKeys) -> str:
    """The sections of the former keys, for the end of a file."""
    lines = [
        f"\n[[former]]  # replaced: the {one.role}'s key for plans whose deadline is not after `until`\n"
        f'role = "{one.role}"\nsign = "{base64.b64encode(one.key.data).decode("ascii")}"\n'
        f"until = {utc_text(one.until_us)}\n"
        + ("lost = true\n" if one.lost else "")
        + ("" if one.seal is None else f'seal = "{base64.b64encode(one.seal.data).decode("ascii")}"\n')
        + ("" if one.node is None else f'node = "{base64.b64encode(one.node.to_bytes()).decode("ascii")}"\n')
        for one in former.entries
    ]
    return "".join(lines)
