"""How a process of Covey starts and ends faster. Only entry points use this: it changes the whole process."""

from __future__ import annotations

import gc
import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

GC_THRESHOLD: Final = 100_000
"""New objects between two garbage collections. Imports make no garbage; with Python's 700, they take a tenth longer."""


class _WithoutPandas(MetaPathFinder, Loader):
    """Hides pandas. pyarrow imports it only to test whether a list is a Series, which takes most of a second.

    It is found, and cannot be imported: PyTorch's compiler looks for pandas with `find_spec`, which must not raise.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find pandas only; other finders find all other modules."""
        return ModuleSpec(name, self) if name == "pandas" else None

    def exec_module(self, module: ModuleType) -> None:
        """Raise ModuleNotFoundError."""
        raise ModuleNotFoundError("pandas is not needed here", name=module.__name__)


def only_tls_1_3() -> None:
    """Have gRPC accept no TLS below 1.3, as a server and as a client. gRPC reads this when it is imported.

    gRPC has no setting for a lowest version. This setting names ciphers of TLS 1.2, because those of 1.3 are always on. The cipher
    here needs a pre-shared secret, and no role has one, so no handshake of 1.2 succeeds, whatever the type of a certificate's key.
    """
    os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-AES128-CBC-SHA"


def hide_pandas() -> None:
    """Make imports of pandas fail from now on, in a process that runs no user code."""
    sys.meta_path.insert(0, _WithoutPandas())


def end_quickly() -> None:
    """Leave all objects out of the interpreter's last garbage collection. Called when nothing is left to do.

    That collection visits every object of every module, which is most of the time that an exit takes: 0.4 s instead of 4 s for a
    SuperLink on a busy machine. Files are closed, and buffers written, by those who opened them.
    """
    gc.freeze()
