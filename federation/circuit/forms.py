"""Arithmetic of linear forms, for building circuits, and the values of forms on plain bits."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from crypto.ntt_forms import Form

Counts: TypeAlias = npt.NDArray[np.int64]
Bits: TypeAlias = npt.NDArray[np.uint8]

NOTHING: Final = Form({})
ONE: Final = Form({}, 1)


def bits_sum(first: int, count: int) -> Form:
    """The sum of `count` entries from `first` on."""
    return Form(dict.fromkeys(range(first, first + count), 1))


def added(*forms: Form) -> Form:
    """The sum of forms."""
    terms: dict[int, int] = {}
    for form in forms:
        for entry, coefficient in form.terms.items():
            terms[entry] = terms.get(entry, 0) + coefficient
    return Form(terms, sum(form.constant for form in forms))


def scaled(form: Form, factor: int) -> Form:
    """A multiple of a form."""
    return Form({entry: factor * c for entry, c in form.terms.items()}, factor * form.constant)


def minus(one: Form, other: Form) -> Form:
    """The difference of two forms."""
    return added(one, scaled(other, -1))


def moved(form: Form, by: int) -> Form:
    """The same form over the entries `by` places further on."""
    return Form({entry + by: c for entry, c in form.terms.items()}, form.constant)


def value_of(form: Form, bits: Bits) -> Counts:
    """A form's value int64[…] on bits uint8[…, n]."""
    value = np.full(bits.shape[:-1], form.constant, np.int64)
    for entry, coefficient in form.terms.items():
        value += coefficient * bits[..., entry].astype(np.int64)
    return value
