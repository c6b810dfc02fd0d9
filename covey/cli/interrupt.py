"""Ctrl-C and SIGTERM end a command as KeyboardInterrupt: temporary files are deleted, the store stays intact.

Python raises KeyboardInterrupt wherever the main thread is, and in some places the exception is lost: `__del__` only prints
it, a class statement turns it into another error, and libraries drop exceptions of their imports. In these places the
interrupt waits until the main thread has left them.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Final

_AGAIN_S: Final = 0.02
_LOSING: Final = frozenset({"__del__", "__set_name__"})
_IMPORTING: Final = "<frozen importlib"


def install() -> None:
    """Install the handlers in the main thread of a command. Signals that were ignored at the start stay ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    if _would_be_lost(frame):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        raise KeyboardInterrupt


def _would_be_lost(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name in _LOSING or frame.f_code.co_filename.startswith(_IMPORTING):
            return True
        frame = frame.f_back
    return False
