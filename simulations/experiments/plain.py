"""Convert results to JSON values."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from simulations.attacks.attack import AttackResult


def attack_as_dict(result: AttackResult) -> dict[str, Any]:
    """Convert the result of an attack, with whether it succeeded."""
    return cast(dict[str, Any], plain(asdict(result) | {"succeeded": bool(result.succeeded)}))


def plain(value: Any) -> Any:
    """Convert a value to JSON types; a number that is not finite becomes null."""
    match value:
        case dict():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case np.ndarray() | np.generic():
            return plain(value.tolist())
        case float():
            return value if math.isfinite(value) else None
    return value
