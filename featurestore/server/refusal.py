"""A request that goes no further, whoever refuses it."""

from __future__ import annotations

Header = tuple[bytes, bytes]


class Refused(Exception):
    """With the HTTP status, what the reader is told, and further headers of the answer."""

    def __init__(self, status: int, detail: str, *headers: Header) -> None:
        self.status, self.detail, self.headers = status, detail, headers
        super().__init__(detail)
