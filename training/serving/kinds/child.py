"""The process of one foreign model. It imports the library, loads the model, and answers turns until the server is gone.

It inherits no descriptor but its two pipes and two memory files, no variable of the server's environment but a few, and writes no
core dump. The bound on its memory is set when the library is imported, before the model is loaded.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.serving.signature import ForeignCall

from .turns import DONE, FAILED, MAX_START, MAX_TEXT, NO_MEMORY, REPLY, REQUEST, START, Shared, opened

Inputs = Mapping[str, npt.NDArray[Any]]
Model = Callable[[Inputs], npt.NDArray[Any]]
"""Returns the output that the signature names."""
_OUT_OF_MEMORY: Final = ("allocate", "bad_alloc", "bad allocation", "out of memory")
"""What the libraries write in the errors of a failed allocation."""


def main(requests: int, replies: int, file: int, shared: int) -> None:
    """Serve one model.

    Args:
        requests, replies: pipes, to read and to write.
        file, shared: descriptors of the model's bytes, and of the memory for arrays.
    """
    _isolate()
    (length,) = START.unpack(_read(requests, START.size))
    start = json.loads(_read(requests, min(length, MAX_START)))
    threading.Thread(target=_end_with_the_server, args=(requests,), daemon=True).start()
    call, memory = ForeignCall.of(start["call"]), opened(shared, start["width"])
    try:
        model = _loaded(start, call, file)
    except Exception as error:  # noqa: BLE001 - whatever a library raises; the server names it
        _reply(replies, 0, *_failure(error))
        return
    _reply(replies, 0, DONE, "")
    while True:
        turn, rows = REQUEST.unpack(_read(requests, REQUEST.size))
        try:
            memory.predicted[:rows] = _predicted(model, call, memory, rows)
        except Exception as error:  # noqa: BLE001 - whatever a model raises; the server names it
            _reply(replies, turn, *_failure(error))
        else:
            _reply(replies, turn, DONE, "")


def _isolate() -> None:
    """Write no core dump, and be the first process that the system ends when its memory is used up."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


def _end_with_the_server(requests: int) -> None:
    """End this process when the server's end of the pipe is closed, whatever the model does at that time."""
    poll = select.poll()
    poll.register(requests, 0)  # a hang-up is always reported
    poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def _read(descriptor: int, size: int) -> bytes:
    """Read exactly `size` bytes. Exits where the pipe ends."""
    parts = b""
    while len(parts) < size:
        part = os.read(descriptor, size - len(parts))
        if not part:
            sys.exit(0)
        parts += part
    return parts


def _reply(replies: int, turn: int, outcome: int, why: str) -> None:
    text = why.encode(errors="replace")[:MAX_TEXT]
    os.write(replies, REPLY.pack(turn, outcome, len(text)) + text)  # below PIPE_BUF, so in one piece


def _failure(error: Exception) -> tuple[int, str]:
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    lower = text.lower()
    out = isinstance(error, MemoryError) or any(word in lower for word in _OUT_OF_MEMORY)
    return (NO_MEMORY if out else FAILED), text


def _loaded(start: Mapping[str, Any], call: ForeignCall, file: int) -> Model:
    size = os.fstat(file).st_size
    with mmap.mmap(file, size, access=mmap.ACCESS_READ) as mapped:
        data = mapped[:]
    os.close(file)
    threads, memory, at = start["threads"], start["memory"], start["output_at"]
    match start["library"]:
        case "onnx":
            return _onnx(data, call, threads, memory)
        case "package":
            return _package(data, at, threads, memory)
        case _:
            return _torch(data, at, start["device"], threads, memory)


def _bound(more: int | None) -> None:
    """Limit this process to the memory that it has now, and `more` bytes."""
    if more is None:
        return
    import resource

    lines = Path("/proc/self/status").read_text().splitlines()
    (now,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (now + more, now + more))


def _onnx(data: bytes, call: ForeignCall, threads: int, memory: int | None) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.enable_cpu_mem_arena = False  # an arena keeps what one large batch took
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never ORT's own format
    _bound(memory)
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    output = call.output.name

    def run(inputs: Inputs) -> npt.NDArray[Any]:
        (made,) = session.run([output], dict(inputs))
        return np.asarray(made)

    return run


def _package(data: bytes, at: int, threads: int, memory: int | None) -> Model:
    import tempfile

    import torch
    from torch.utils._pytree import tree_leaves

    torch.set_num_threads(threads)
    _bound(memory)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt2"
        path.write_bytes(data)
        program = torch._inductor.aoti_load_package(str(path))

    def run(inputs: Inputs) -> npt.NDArray[Any]:
        with torch.inference_mode():
            array: npt.NDArray[Any] = tree_leaves(program(*map(torch.from_numpy, inputs.values())))[at].numpy()
        return array

    return run


def _torch(data: bytes, at: int, device: str, threads: int, memory: int | None) -> Model:
    import io

    import torch
    from torch.utils._pytree import tree_leaves

    torch.set_num_threads(threads)
    _bound(memory)
    program = torch.export.load(io.BytesIO(data))
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    module = program.module()

    def run(inputs: Inputs) -> npt.NDArray[Any]:
        with torch.inference_mode():
            given = (torch.from_numpy(one) for one in inputs.values())
            made = module(*(given if device == "cpu" else (one.to(device) for one in given)))
            array: npt.NDArray[Any] = tree_leaves(made)[at].cpu().numpy()
        return array

    return run


def _predicted(model: Model, call: ForeignCall, memory: Shared, rows: int) -> npt.NDArray[Any]:
    """Return the predictions of the first rows of the memory, [rows]. Raises ValueError: the output has another form."""
    x, mask, se = (one[:rows] for one in memory.given)
    inputs: dict[str, npt.NDArray[Any]] = {}
    for one in call.inputs:
        match one.role:
            case "values":
                array: npt.NDArray[Any] = np.where(mask, x, np.float32(np.nan)) if call.missing == "nan" else x
            case "mask":
                array = mask
            case "se":
                array = se
        inputs[one.name] = np.array(array, one.dtype)  # a copy: a model may write into its inputs
    made, column = model(inputs), call.output.column
    if made.dtype.kind in "fiub" and len(made) == rows:
        if column is None and made.shape in ((rows,), (rows, 1)):
            return made.reshape(rows)
        if column is not None and made.ndim == 2 and column < made.shape[1]:
            return made[:, column]
    due = "(rows,)" if column is None else f"(rows, more than {column})"
    raise ValueError(f"{call.output.name} is {made.dtype} of the shape {made.shape} for {rows} rows, not {due}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
