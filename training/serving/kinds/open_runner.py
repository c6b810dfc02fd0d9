"""Load a version of a model. This is the only door: hash, then structure, then trust, then the library that runs it."""

from __future__ import annotations

from typing import assert_never

from deployment.errors import ModelRefused
from featurestore.registry.models import RegisteredModel
from training.errors import ArchiveRefused, ModelUntrusted
from training.serving.arrays import Arrays
from training.serving.signature import ModelSignature

from .loading import Loading
from .model_kind import Exported, Monotone, Onnx, TorchProgram, kind_of
from .own_runners import ProgramRunner, TreesRunner
from .runner import Runner
from .trees import Trees


def open_runner(model: RegisteredModel, loading: Loading) -> Runner:
    """Load a model from the files of the store.

    Raises:
        StoreCorrupt: a file differs from the registered one, or the lineage is none. ModelRefused: a file is not as it must be.
        ModelUntrusted: the model may run code, and `loading.trust` is off. DeviceUnavailable.
    """
    kind, loading = kind_of(model), loading.checked()
    data = model.read(kind.FILE)
    try:
        match kind:
            case Monotone():
                trees = Trees.of(data)
                trees.predict(*_zeros(model)[:2])
                return TreesRunner(str(model), trees)
            case Exported():
                from .program import Program

                program = Program.of(data)
                program.predict(_zeros(model))
                return ProgramRunner(str(model), program, loading.device)
            case TorchProgram() | Onnx():
                raise ModelUntrusted(str(model), kind.FILE)
            case _:
                assert_never(kind)
    except ArchiveRefused as error:
        made_with = str(model.lineage.get("torch", "an unknown version"))
        raise ModelRefused(str(model), kind.FILE, str(error), made_with) from None


def _zeros(model: RegisteredModel) -> Arrays:
    """Return two rows, on which a model is run once when it is loaded: its steps must fit its inputs."""
    return Arrays.zeros(2, len(ModelSignature.of(model).names))
