"""What is recorded as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from simulations.attacks.attack import AttackResult


def attack_as_dict(result: AttackResult) -> dict[str, Any]:
    """An attack's result, and whether it succeeded."""
    return cast(dict[str, Any], plain(asdict(result) | {"succeeded": bool(result.succeeded)}))


def plain(value: Any) -> Any:
    """The same in JSON's own types; a number that is not finite is null."""
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
