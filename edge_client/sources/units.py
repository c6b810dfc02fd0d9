"""Units of measure: the numbers of a source in one unit, the values of the features in another.

A conversion is a factor and an offset. They are computed once, when a site's file is parsed, in exact fractions. The names of units
are those of Pint, such as `mi`, `km/h`, `degF`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Final

from base.extras import require_extra

MAX_UNIT: Final = 80
"""Most characters of a unit's name."""


@dataclass(frozen=True)
class Scale:
    """value · factor + offset."""

    factor: float = 1.0
    offset: float = 0.0


UNSCALED: Final = Scale()


def scale_of(unit: str, to: str) -> Scale:
    """The conversion of numbers in one unit to another one.

    Raises:
        ExtraMissing: Pint is not installed. ValueError: a unit is unknown, the two measure different things, or the conversion
            is not a factor and an offset (decibels).
    """
    for name in (unit, to):
        if len(name) > MAX_UNIT:
            raise ValueError(f"the name of a unit has at most {MAX_UNIT} characters, not {len(name):,}")
    require_extra("units", "a conversion of units")
    zero, one, two = (_converted(Fraction(number), unit, to) for number in (0, 1, 2))
    factor = one - zero
    if two - one != factor or factor == 0:
        raise ValueError(f"{unit!r} is not converted to {to!r} by a factor and an offset")
    return Scale(float(factor), float(zero))


def _converted(number: Fraction, unit: str, to: str) -> Fraction:
    import pint

    try:
        return Fraction(_registry().Quantity(number, unit).to(to).magnitude)
    except pint.DimensionalityError:
        raise ValueError(f"{unit!r} and {to!r} measure different things") from None
    except pint.UndefinedUnitError as error:
        name = error.unit_names if isinstance(error.unit_names, str) else error.unit_names[0]
        raise ValueError(
            f"there is no unit {name[:MAX_UNIT]!r}; write a name that Pint has, such as 'mi', 'km/h' or 'degC'"
        ) from None
    except Exception as error:  # noqa: BLE001 - Pint raises errors of many kinds for what is no unit
        raise ValueError(f"{unit!r} cannot be converted to {to!r}: {str(error)[:200]}") from None


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)
