"""Load a version of a model. This is the only door: hash, then structure, then trust, then the library that runs it."""

from __future__ import annotations

from typing import assert_never

from base.extras import require_extra
from deployment.errors import ModelRefused
from featurestore.registry.models import RegisteredModel
from training.errors import ArchiveRefused, ModelFileRefused, ModelUntrusted
from training.serving.arrays import Arrays
from training.serving.signature import ModelSignature

from .compiled import CompilingRunner, compile_foreign, compile_program, has_compiler
from .loading import Loading
from .model_kind import Exported, Monotone, Onnx, TorchProgram, kind_of
from .onnx_file import read_onnx
from .own_runners import ProgramRunner, TreesRunner
from .process import Foreign, ForeignRunner
from .runner import Runner
from .torch_file import read_torch_program
from .trees import Trees
from .turns import Library


def open_runner(model: RegisteredModel, loading: Loading) -> Runner:
    """Load a model from the files of the store.

    Raises:
        StoreCorrupt: a file differs from the registered one, or the lineage is none. ModelRefused: a file is not as it must be.
        ModelUntrusted: the model may run code, and `loading.trust` is off. DeviceUnavailable. Others as `open_foreign`.
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
                eager = ProgramRunner(str(model), program, loading.device)
                if not _compiles(loading):
                    return eager
                width = len(ModelSignature.of(model).names)
                return CompilingRunner(str(model), eager, width, compile_program(str(model), data, width))
            case TorchProgram() | Onnx():
                return open_foreign(str(model), kind, data, ModelSignature.of(model), loading)
            case _:
                assert_never(kind)
    except ArchiveRefused as error:
        made_with = str(model.lineage.get("torch", "an unknown version"))
        raise ModelRefused(str(model), kind.FILE, str(error), made_with) from None


def open_foreign(
    model: str, kind: TorchProgram | Onnx, data: bytes, signature: ModelSignature, loading: Loading
) -> Runner:
    """Load a foreign model in a process of its own. Nothing of its file is parsed without trust.

    Raises:
        ModelUntrusted, ModelFileRefused. ModelFailed: it cannot be loaded. TooLittleMemory. ExtraMissing.
    """
    if not loading.trust:
        raise ModelUntrusted(model, kind.FILE)
    if signature.call is None:
        raise ModelFileRefused(model, kind.FILE, "its lineage does not say how it is called; register it again")
    try:
        match kind:
            case TorchProgram():
                outputs = read_torch_program(data).outputs
                library: Library = "torch"
            case Onnx():
                require_extra("onnx", f"model {model}")
                outputs = read_onnx(data).outputs
                library = "onnx"
            case _:
                assert_never(kind)
    except ArchiveRefused as error:
        raise ModelFileRefused(model, kind.FILE, str(error)) from None
    at = next((at for at, one in enumerate(outputs) if one.name == signature.call.output.name), None)
    if at is None:
        raise ModelFileRefused(
            model, kind.FILE, f"it has no output {signature.call.output.name[:80]!r}; register it again"
        )
    device, width = loading.device if library == "torch" else "cpu", len(signature.names)
    foreign = Foreign(model, library, data, signature.call, width, device, loading.limit_s, at)
    eager = ForeignRunner(foreign)
    if library == "torch" and _compiles(loading):
        return CompilingRunner(model, eager, width, compile_foreign(foreign))
    return eager


def _compiles(loading: Loading) -> bool:
    return loading.compile and loading.device == "cpu" and has_compiler()


def _zeros(model: RegisteredModel) -> Arrays:
    """Return two rows, on which a model is run once when it is loaded: its steps must fit its inputs."""
    return Arrays.zeros(2, len(ModelSignature.of(model).names))
