"""How a foreign model is called: defaults where they are plain, a refusal with the choices where they are not."""

from __future__ import annotations

from typing import Any

import pytest

from training.errors import CallUnclear
from training.serving.kinds.call import CallChoices, call_of
from training.serving.kinds.ports import Port, Ports
from training.serving.signature import ForeignCall, ForeignInput, ForeignOutput

X = Port("x", "float32", (None, 3))
MASK = Port("mask", "bool", (None, 3))
SE = Port("se", "float64", (None, None))
Y = Port("y", "float32", (None,))
LABEL = Port("label", "int64", (None,))
PROBABILITIES = Port("probabilities", "float32", (None, 2))
CLASSES = Port("classes", "float32", (None, 5))


def test_the_only_input_gets_the_values_and_mask_and_se_are_known_by_name() -> None:
    assert call_of("m", Ports((X,), (Y,)), 3, CallChoices()) == ForeignCall(
        (ForeignInput("x", "values", "float32"),), "nan", ForeignOutput("y", None)
    )
    call = call_of("m", Ports((SE, X, MASK), (Y,)), 3, CallChoices(missing="zero"))
    assert [(one.name, one.role, one.dtype) for one in call.inputs] == [
        ("se", "se", "float64"), ("x", "values", "float32"), ("mask", "mask", "bool"),
    ]  # fmt: skip
    assert call.missing == "zero"


@pytest.mark.parametrize(
    ("outputs", "output", "due"),
    [
        ((Y,), None, ForeignOutput("y", None)),
        ((LABEL, PROBABILITIES), None, ForeignOutput("probabilities", 1)),
        ((LABEL, PROBABILITIES), "probabilities:0", ForeignOutput("probabilities", 0)),
        ((LABEL, PROBABILITIES), "label", ForeignOutput("label", None)),
        ((CLASSES,), "classes:4", ForeignOutput("classes", 4)),
        ((Port("y", "float32", (None, 1)),), None, ForeignOutput("y", None)),
        ((Port("y", "float32", None),), None, ForeignOutput("y", None)),
        ((Port("y", "float32", None),), "y:7", ForeignOutput("y", 7)),
        ((Port("y:0", "float32", (None, 2)), Y), "y:0", ForeignOutput("y:0", 1)),
        ((Port("y:0", "float32", (None, 2)), Y), "y:0:0", ForeignOutput("y:0", 0)),
    ],
)
def test_the_prediction_is_the_only_output_of_floating_point_or_the_named_one(
    outputs: tuple[Port, ...], output: str | None, due: ForeignOutput
) -> None:
    assert call_of("m", Ports((X,), outputs), 3, CallChoices(output=output)).output == due


@pytest.mark.parametrize(
    ("ports", "choices", "says", "settings"),
    [
        (Ports((X, Port("z", "float32", (None, 3))), (Y,)), {}, "Say which gets values, mask, se", ("input",)),
        (Ports((X,), (Y,)), {"inputs": {"a": "values"}}, "no input 'a'; it has: x (float32 [N, 3])", ("input",)),
        (Ports((MASK,), (Y,)), {}, "no input of m gets the values", ("input",)),
        (Ports((), (Y,)), {}, "no input of m gets the values of features; it has: none", ("input",)),
        (
            Ports((Port("x", "int64", (None, 3)),), (Y,)),
            {},
            "cannot get values, which are float32, float64",
            ("input",),
        ),
        (Ports((Port("x", "bool", (None, 3)),), (Y,)), {}, "cannot get values", ("input",)),
        (Ports((Port("x", "float32", (None, 4)),), (Y,)), {}, "does not take [N, 3]", ("features",)),
        (Ports((Port("x", "float32", (None,)),), (Y,)), {}, "does not take [N, 3]", ("features",)),
        (Ports((Port("x", "float32", (2, 3)),), (Y,)), {}, "a fixed number of rows", ()),
        (Ports((X,), (Y, Port("z", "float32", (None,)))), {}, "Say which is the prediction", ("output",)),
        (Ports((X,), (LABEL, Port("p", "sequence", None))), {}, "convert a classifier with options", ("output",)),
        (Ports((X,), (LABEL,)), {}, "not one output of floating point, but: label (int64 [N])", ("output",)),
        (Ports((X,), (CLASSES,)), {}, "has 5 columns; say which", ("output",)),
        (Ports((X,), (CLASSES,)), {"output": "classes:5"}, "has no column 5", ("output",)),
        (Ports((X,), (Y,)), {"output": "y:0"}, "has no column 0", ("output",)),
        (Ports((X,), (Y,)), {"output": "z"}, "no output 'z'; it has: y (float32 [N])", ("output",)),
    ],
)
def test_what_is_ambiguous_or_does_not_fit_is_refused_with_the_choices(
    ports: Ports, choices: dict[str, Any], says: str, settings: tuple[str, ...]
) -> None:
    with pytest.raises(CallUnclear) as refused:
        call_of("m", ports, 3, CallChoices(**choices))
    assert says in str(refused.value)
    assert refused.value.settings == settings
