"""A process of the MPC finish that writes down every tensor that it receives or opens.

Run it as `python -m tests.aggregator.mpc_recorded`. CrypTen sends everything through these functions of torch.distributed.
`<COVEY_MPC_TRANSCRIPT>/<rank>` gets one pickle (function, before, after) for each tensor. For a received tensor, `after` is
the tensor. For an opened value, `after` is the value and `before` is the process's own share of it.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

import aggregator.mpc.party
from tests.aggregator.mpc_transcript import Entry

BOTH = ("all_reduce", "reduce", "broadcast")
IN = ("recv", "irecv")
OUT = ("send", "isend")
UNUSED = (
    "all_gather",
    "gather",
    "scatter",
    "all_to_all",
    "reduce_scatter",
    "all_gather_into_tensor",
    "batch_isend_irecv",
)


class _Waiting:
    def __init__(self, work: Any, written: Any) -> None:
        self._work, self._written = work, written

    def wait(self) -> Any:
        result = self._work.wait()
        self._written()
        return result


def main() -> None:
    file = (Path(os.environ["COVEY_MPC_TRANSCRIPT"]) / os.environ["RANK"]).open("ab", buffering=0)

    def recorded(name: str, real: Any) -> Any:
        def call(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            before = tensor.numpy().tobytes()

            def written() -> None:
                file.write(pickle.dumps(Entry(name, str(tensor.dtype), before, tensor.numpy().tobytes())))

            result = real(tensor, *args, **kwargs)
            if name == "irecv" or kwargs.get("async_op"):
                return _Waiting(result, written)
            written()
            return result

        return call

    def unexpected(*_: Any, **__: Any) -> Any:
        raise AssertionError("tensors arrive through a function that is not recorded")

    for name in (*BOTH, *IN):
        setattr(dist, name, recorded(name, getattr(dist, name)))
    for name in UNUSED:
        setattr(dist, name, unexpected)
    aggregator.mpc.party.main()


if __name__ == "__main__":
    main()
