"""The adapter to CrypTen: two parties that suppress cells, and the provider of their triples. No other module calls it.

CrypTen is imported with a stand-in for its ONNX converter. Nothing here uses the converter, and it cannot be imported with
PyTorch >= 2.13. A third process, the *provider* (CrypTen's TTP), makes the triples. By default rank 0 would make them, and
could then read everything that is computed.

CrypTen reads the processes' meeting point from the environment: DISTRIBUTED_BACKEND, RENDEZVOUS, WORLD_SIZE (2), RANK (0
the leader, 1 the helper, 2 the provider), and for gloo GLOO_SOCKET_IFNAME.

All randomness is CrypTen's: PyTorch's MT19937, which uses 32 bits of a seed. A party that tries 2^32 seeds learns the other
party's values. So this is for experiments, and only noised values may enter.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final

import numpy as np
import numpy.typing as npt

_converter = ModuleType("crypten.nn.onnx_converter")
vars(_converter).update(from_onnx=None, from_pytorch=None, from_tensorflow=None, TF_AND_TF2ONNX=False)
sys.modules.setdefault(_converter.__name__, _converter)

import crypten  # noqa: E402 - after the stand-in, as all below
import torch  # noqa: E402
from crypten.mpc import MPCTensor  # noqa: E402
from crypten.mpc.provider import TTPServer  # noqa: E402

from .field import Elements  # noqa: E402

PeerLost: Final = RuntimeError
"""PyTorch raises it when another process has ended."""


def meet() -> None:
    """Run by leader and helper, once: wait for the other two processes. Raises PeerLost."""
    crypten.cfg.mpc.provider = "TTP"
    crypten.init()


def provide() -> None:
    """Run by the provider: make triples until the parties end. Raises PeerLost."""
    crypten.cfg.mpc.provider = "TTP"
    TTPServer()


def suppress(
    shares: Elements, counts: Sequence[int], least: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Run by both parties at once: open the cells with no count below `least`; of the others reveal only that they have one.

    Args:
        shares: uint64[cells, slots], this party's, mod 2^64, of signed values.
        counts: which slots are compared.

    Returns:
        int64[cells, slots], zero where suppressed, and bool[cells], which are. The same at both parties.

    Raises:
        PeerLost: nothing was opened, or only the other party knows it.
    """
    values = MPCTensor.from_shares(torch.from_numpy(shares.view(np.int64)), precision=0)
    shown = values[:, counts[0] : counts[0] + 1] >= least
    for slot in counts[1:]:
        shown = shown * (values[:, slot : slot + 1] >= least)
    opened = crypten.cat([values * shown, shown], dim=1).reveal().numpy()
    return opened[:, :-1], opened[:, -1] == 0
