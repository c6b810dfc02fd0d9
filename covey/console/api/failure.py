"""An error inside an answer that has other parts, too."""

from __future__ import annotations

from typing import Self

from base.errors import CoveyError
from covey.cli.mends import mend_of

from .form import Form


class Failure(Form):
    """Why something cannot be used, or has failed, and the mend."""

    code: str
    detail: str
    mend: str

    @classmethod
    def of(cls, error: CoveyError) -> Self:
        """An error with its mend."""
        return cls(code=error.code, detail=str(error), mend=mend_of(error))
