"""The types of values that several configuration files share: a price in ρ, a public signing key, the allowed terms."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator

from crypto.errors import CryptoError
from crypto.signing import VerifyKey
from featurestore.define.privacy import Noisers

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

MicroRho = Annotated[int, PlainValidator(_micro_rho), Field(examples=["0.1"])]
"""Millionths of ρ, written as a decimal number of ρ."""
SigningKey = Annotated[VerifyKey, PlainValidator(_verify_key), Field(examples=['"…"'])]
"""A public Ed25519 key, written as base64."""
