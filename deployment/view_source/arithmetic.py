"""The closed evaluation of expressions: values that are written out, names of such, and a few functions. Nothing is executed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final

import libcst as cst

from featurestore.define.entities import MAX_KEYS

from .domain_files import DomainFileRefused, domain_file
from .scope import dotted
from .values import NotLiteral, number_of, text_of

MAX_ELEMENTS: Final = 4 * MAX_KEYS
"""Elements of all collections of a file together."""
MAX_BITS: Final = 1_024
"""Of a whole number that is computed."""


class NotEvaluated(Exception):
    """An expression that is outside the closed evaluation; the message says why."""


_OPERATIONS: Final[Mapping[type[cst.BaseBinaryOp], Callable[[Any, Any], Any]]] = {
    cst.Add: operator.add,
    cst.Subtract: operator.sub,
    cst.Multiply: operator.mul,
}
_FUNCTIONS: Final = ("range", "list", "tuple", "set", "frozenset", "sorted")


@dataclass(eq=False)
class Evaluation:
    """Evaluates expressions of one file.

    Attributes:
        folder: of the views file, whose files a domain may name; None: it is no file.
        names: the values that names have so far.
        functions: the functions that names mean: `product`, `Path`, and builtins that are not bound again.
        code: the text of an expression, for messages.
    """

    folder: Path | None
    code: Callable[[cst.BaseExpression], str]
    names: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=lambda: {name: name for name in _FUNCTIONS})
    elements: int = 0

    def value(self, expression: cst.BaseExpression) -> Any:
        """The value of an expression.

        Raises:
            NotEvaluated: it is outside the closed evaluation, or too large.
        """
        match expression:
            case cst.Name(value="None" | "True" | "False" as name):
                return {"None": None, "True": True, "False": False}[name]
            case cst.Name(value=name) if name in self.names:
                return self.names[name]
            case cst.List(elements=elements):
                return self._collected(elements)
            case cst.Tuple(elements=elements):
                return tuple(self._collected(elements))
            case cst.Set(elements=elements):
                return self._as_set(self._collected(elements))
            case cst.Dict(elements=entries):
                return self._mapping(entries)
            case cst.BinaryOperation(operator=op, left=left, right=right):
                return self._computed(expression, op, self.value(left), self.value(right))
            case cst.UnaryOperation(operator=cst.Minus(), expression=inner) if not isinstance(
                inner, cst.Integer | cst.Float
            ):
                return -self._number(expression, self.value(inner))
            case cst.Call():
                return self._called(expression)
            case _:
                return self._written(expression)

    def _written(self, expression: cst.BaseExpression) -> Any:
        for read in (text_of, number_of):
            try:
                return read(expression)
            except NotLiteral:
                continue
            except ValueError as error:
                raise NotEvaluated(str(error)) from None
        raise NotEvaluated(f"`{_short(self.code(expression))}` is known only when the file runs")

    def _collected(self, elements: Iterable[cst.BaseElement]) -> list[Any]:
        found: list[Any] = []
        for element in elements:
            value = self.value(element.value)
            found += self._listed(value) if isinstance(element, cst.StarredElement) else [value]
            self.spend(1)
        return found

    def _listed(self, values: Any) -> list[Any]:
        if not isinstance(values, range | list | tuple | set | frozenset | dict):
            raise NotEvaluated(f"{type(values).__name__} is no collection")
        self.spend(len(values))
        return [*values]

    def _as_set(self, values: Sequence[Any]) -> frozenset[Any]:
        try:
            return frozenset(values)
        except TypeError as error:
            raise NotEvaluated(str(error)) from None

    def forget_names(self) -> None:
        """What `import *` of another module does: it may bind any name."""
        self.names.clear()
        self.functions.clear()

    def spend(self, count: int) -> None:
        """Count elements. Raises NotEvaluated: the file has too many."""
        if self.elements + count > MAX_ELEMENTS:
            raise NotEvaluated(f"the collections of the file have more than {MAX_ELEMENTS:,} elements together")
        self.elements += count

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """What fails inside has counted no elements."""
        before = self.elements
        try:
            yield
        except Exception:
            self.elements = before
            raise

    def require_moderate(self, given: Mapping[str, Any]) -> None:
        """Count the elements that a call copies. Raises NotEvaluated: the file has too many."""
        for name, value in given.items():
            if isinstance(value, range | list | tuple | frozenset):
                if len(value) > MAX_ELEMENTS:
                    raise NotEvaluated(f"`{name}` has {len(value):,} elements; at most {MAX_ELEMENTS:,} are read here")
                self.spend(len(value))

    def _mapping(self, entries: Iterable[cst.BaseDictElement]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for entry in entries:
            if not isinstance(entry, cst.DictElement):
                raise NotEvaluated("`**` in a dictionary is known only when the file runs")
            key = self.value(entry.key)
            if not isinstance(key, str | int | float | bool | None):
                raise NotEvaluated(f"{type(key).__name__} is no key here")
            found[key] = self.value(entry.value)
            self.spend(1)
        return found

    def _computed(self, expression: cst.BaseExpression, op: cst.BaseBinaryOp, left: Any, right: Any) -> Any:
        compute = _OPERATIONS.get(type(op))
        if compute is None:
            raise NotEvaluated(f"`{_short(self.code(expression))}` is known only when the file runs")
        if isinstance(op, cst.Add) and type(left) is type(right) and isinstance(left, list | tuple):
            self.spend(len(left) + len(right))
            return left + right
        try:
            result = compute(self._number(expression, left), self._number(expression, right))
        except OverflowError:  # a whole number times a fraction
            raise NotEvaluated(f"`{_short(self.code(expression))}` is no finite number") from None
        if isinstance(result, int) and result.bit_length() > MAX_BITS:
            raise NotEvaluated(f"`{_short(self.code(expression))}` has more than {MAX_BITS:,} bits")
        return result

    def _number(self, expression: cst.BaseExpression, value: Any) -> Any:
        if not isinstance(value, int | float) or (isinstance(value, int) and value.bit_length() > MAX_BITS):
            raise NotEvaluated(f"`{_short(self.code(expression))}` does not compute with numbers of a moderate size")
        return value

    def _called(self, call: cst.Call) -> Any:
        match call:
            case cst.Call(
                func=cst.Attribute(value=inner, attr=cst.Name(value="with_name")), args=[cst.Arg(star="") as given]
            ):
                if self._is_own_path(inner):
                    return self._beside(self.value(given.value))
        function = self.functions.get(dotted(call.func))
        if function is None or any(argument.star or argument.keyword for argument in call.args):
            raise NotEvaluated(f"`{_short(self.code(call))}` is known only when the file runs")
        values = [self.value(argument.value) for argument in call.args]
        match function, values:
            case "range", [*numbers] if 1 <= len(numbers) <= 3 and all(type(one) is int for one in numbers):
                return self._range(numbers)
            case "product", [*pools]:
                return self._product([self._listed(pool) for pool in pools])
            case "list", [one]:
                return self._listed(one)
            case "tuple", [one]:
                return tuple(self._listed(one))
            case "set" | "frozenset", [one]:
                return self._as_set(self._listed(one))
            case "sorted", [one]:
                return self._sorted(one)
            case _:
                raise NotEvaluated(f"`{_short(self.code(call))}` cannot be called so")

    def _range(self, numbers: Sequence[int]) -> range:
        if any(abs(one) >= 2**62 for one in numbers) or numbers[2:] == [0]:
            raise NotEvaluated(f"range({', '.join(map(str, numbers))}) is too large, or has no step")
        return range(*numbers)

    def _product(self, pools: Sequence[list[Any]]) -> list[tuple[Any, ...]]:
        count = 1
        for pool in pools:
            count *= len(pool)
        self.spend(count * max(1, len(pools)))
        return [*product(*pools)]

    def _sorted(self, values: Any) -> list[Any]:
        try:
            return sorted(self._listed(values))
        except TypeError as error:
            raise NotEvaluated(str(error)) from None

    def _is_own_path(self, expression: cst.BaseExpression) -> bool:
        """Whether this is `Path(__file__)`."""
        match expression:
            case cst.Call(func=function, args=[cst.Arg(value=cst.Name(value="__file__"), star="", keyword=None)]):
                return self.functions.get(dotted(function)) == "Path"
            case _:
                return False

    def _beside(self, name: Any) -> Path:
        if not isinstance(name, str):
            raise NotEvaluated(f"{name!r} is no name of a file")
        try:
            return domain_file(self.folder, name)
        except DomainFileRefused as refused:
            raise NotEvaluated(str(refused)) from None


def _short(code: str) -> str:
    first = code.splitlines()[0] if code.strip() else code
    return first if len(first) <= 60 and first == code else f"{first[:59]}…"
