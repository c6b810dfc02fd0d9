"""numba, or its replacement on a site without it. The only module of the light core that imports numba and llvmlite.

A kernel is a function that numba compiles. numba takes half a second to import, so callers of a kernel import its module when they
call it. Without numba the module can be imported all the same, and the kernel raises ExtraMissing when it is called. Shares of
reports and reads have a second implementation in numpy, which `extras.COMPILED` chooses; proofs, noise and filters have none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import ExtraMissing
from .extras import COMPILED


class _Absent:
    """A type of numba, or a call that makes one, in a module whose kernels cannot be called."""

    def __getattr__(self, name: str) -> _Absent:
        return self

    def __getitem__(self, index: object) -> _Absent:
        return self

    def __call__(self, *arguments: object, **settings: object) -> _Absent:
        return self


def _refusing(*arguments: Any, **settings: Any) -> Any:
    """A decorator, bare or with settings: the decorated function raises ExtraMissing."""
    if len(arguments) == 1 and not settings and callable(arguments[0]) and not isinstance(arguments[0], _Absent):
        return _refuse(arguments[0])
    return _refuse


def _refuse(kernel: Callable[..., Any]) -> Callable[..., Any]:
    def refused(*_: object, **__: object) -> Any:
        raise ExtraMissing("this step", "numba", "proofs")

    refused.__doc__ = kernel.__doc__
    return refused


if COMPILED:
    from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
    from numba import boolean, float64, int64, njit, types, uint8, void
    from numba.extending import intrinsic, overload
else:
    boolean = float64 = int64 = types = uint8 = void = ir = intrinsic = overload = _Absent()
    njit = _refusing

__all__ = [
    "boolean",
    "float64",
    "int64",
    "intrinsic",
    "ir",
    "njit",
    "overload",
    "types",
    "uint8",
    "void",
]
