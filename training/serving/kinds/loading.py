"""How a server loads models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from training.errors import DeviceUnavailable

_CUDA: Final = re.compile(r"cuda(?::([0-9]{1,2}))?")


@dataclass(frozen=True)
class Loading:
    """Settings for all models of a server.

    Attributes:
        trust: load models that may run code.
        device: `cpu`, `cuda` or `cuda:N`.
        compile: compile networks where a C++ compiler is installed.
        limit_s: the time for one batch of a foreign model; such a model is ended when it takes longer.
    """

    trust: bool = False
    device: str = "cpu"
    compile: bool = True
    limit_s: float = 1.0

    def checked(self) -> Self:
        """Return these settings if the device is there. Raises DeviceUnavailable."""
        if self.device == "cpu":
            return self
        match = _CUDA.fullmatch(self.device)
        if match is None:
            raise DeviceUnavailable(self.device, "a device is cpu, cuda or cuda:N")
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(match[1] or 0) >= count:
            raise DeviceUnavailable(self.device, f"PyTorch {torch.__version__} sees {count} CUDA devices here")
        return self
