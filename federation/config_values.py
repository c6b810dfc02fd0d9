"""The types of values that stand in several configuration files: a price in ρ, and a public signing key."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Annotated

from pydantic import Field, PlainValidator

from crypto.errors import CryptoError
from crypto.signing import VerifyKey

from .rho import micro_rho_of


def bytes_of_text(value: object) -> bytes:
    """The bytes of a base64 text. Raises ValueError, as pydantic expects it."""
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


MicroRho = Annotated[int, PlainValidator(_micro_rho), Field(examples=["0.1"])]
"""Millionths of ρ, written as a decimal number of ρ."""
SigningKey = Annotated[VerifyKey, PlainValidator(_verify_key), Field(examples=['"…"'])]
"""A public Ed25519 key, written as base64."""
