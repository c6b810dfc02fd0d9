"""The kinds of models, and the file of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias, assert_never

from featurestore.errors import StoreCorrupt
from featurestore.registry.models import RegisteredModel


@dataclass(frozen=True)
class Exported:
    """What `covey train` exports of a network, and every `torch.export` program of the same operations: read as data."""

    NAME: ClassVar = "exported"
    FILE: ClassVar = "model.pt2"


@dataclass(frozen=True)
class Monotone:
    """The trees of `covey train`, read as data."""

    NAME: ClassVar = "monotone"
    FILE: ClassVar = "trees.json"


@dataclass(frozen=True)
class TorchProgram:
    """Any other `torch.export` program. PyTorch loads it, which may run code: in a process of its own."""

    NAME: ClassVar = "torch"
    FILE: ClassVar = "program.pt2"


@dataclass(frozen=True)
class Onnx:
    """A model of ONNX. onnxruntime runs it, in a process of its own."""

    NAME: ClassVar = "onnx"
    FILE: ClassVar = "model.onnx"


ModelKind: TypeAlias = Exported | Monotone | TorchProgram | Onnx

KINDS: Final[tuple[ModelKind, ...]] = (Exported(), Monotone(), TorchProgram(), Onnx())


def kind_of(model: RegisteredModel) -> ModelKind:
    """Return the kind that the lineage names; a lineage without one is of a model that `covey train` made.

    Raises:
        StoreCorrupt: the lineage names another kind, or the model lacks the file of its kind.
    """
    named = model.lineage.get("kind")
    for kind in KINDS:
        if kind.FILE in model.files and named in (kind.NAME, None):
            return kind
    raise StoreCorrupt(f"model {model}: it has no file of its kind {str(named)[:40]!r}; register it again")


def is_foreign(kind: ModelKind) -> bool:
    """Return whether a library runs the model, rather than Covey itself."""
    match kind:
        case Exported() | Monotone():
            return False
        case TorchProgram() | Onnx():
            return True
        case _:
            assert_never(kind)
