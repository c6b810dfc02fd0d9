"""Ctrl-C and SIGTERM end a command as KeyboardInterrupt: temporary files go, the store stays whole.

Python raises it wherever the main thread is, and in some places what is raised is lost: in a `__del__` it is printed and
forgotten, around a class that is being made it becomes another error, and libraries drop what an import of theirs raises.
There it waits until the main thread is out again.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Final

_AGAIN_S: Final = 0.02
_LOSING: Final = frozenset({"__del__", "__set_name__"})
_IMPORTING: Final = "<frozen importlib"


def install() -> None:
    """For the main thread of a command. What the process was told to ignore at its start it goes on ignoring."""
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
