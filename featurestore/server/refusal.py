"""The refusal of a request, by the guard or by a service."""

from __future__ import annotations

from typing import Final

MEDIA_TYPE: Final = "application/problem+json"
Header = tuple[bytes, bytes]


class Refused(Exception):
    """A refused request: the HTTP status, the text for the reader, and further headers of the answer."""

    def __init__(self, status: int, detail: str, *headers: Header) -> None:
        self.status, self.detail, self.headers = status, detail, headers
        super().__init__(detail)
