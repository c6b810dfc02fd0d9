"""The HTTP status and headers of an error of a prediction, for every protocol."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from featurestore.errors import OnlineUnavailable
from featurestore.server.errors import DEFECT, UNAVAILABLE, UNPROCESSABLE, defect_text, status_of, text_of
from featurestore.server.refusal import Header
from training.errors import DeadlineMissed, InputRefused, ModelBusy, ModelFailed, ModelNotReady

TOO_MANY: Final = 429
TIMEOUT: Final = 504
PAUSE_S: Final = 0.005
"""How long a connection is not read after a request of it was refused for a busy model. A client that repeats at once would
otherwise take the event loop's time, which the other models need: refusing costs about as much as reading a request."""


class Refusal(NamedTuple):
    """How an error is answered.

    Attributes:
        text: for the client. A defect's text is in the server's log only.
        pause_s: see `Answer`.
    """

    status: int
    text: str
    headers: tuple[Header, ...] = ()
    pause_s: float = 0.0


def refusal_of(error: Exception) -> Refusal:
    """How an error of `Serving.ask`, or of a parser, is answered."""
    match error:
        case ModelBusy():
            return Refusal(TOO_MANY, str(error), (_retry_after(error.retry_after_s),), PAUSE_S)
        case DeadlineMissed():
            return Refusal(TIMEOUT, str(error))
        case ModelNotReady() | ModelFailed():
            return Refusal(UNAVAILABLE, str(error), (_retry_after(1),))
        case InputRefused():
            return Refusal(UNPROCESSABLE, str(error))
        case OnlineUnavailable():
            return Refusal(UNAVAILABLE, text_of(error), (_retry_after(error.retry_after_s),))
    status = status_of(error)
    return Refusal(status, defect_text(error) if status == DEFECT else text_of(error))


def _retry_after(seconds: float) -> Header:
    return b"retry-after", b"%d" % max(1, math.ceil(seconds))  # HTTP has whole seconds
