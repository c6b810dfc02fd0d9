"""The answer of `/readyz`: whether a role is ready, and what it waits for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from base.metrics import Role

MAX_PROBE_BYTES: Final = 4_096


@dataclass(frozen=True)
class Probe:
    """The readiness of a role.

    Attributes:
        waits_for: what keeps it from its work; None: it is ready.
    """

    role: Role
    waits_for: str | None

    @property
    def status(self) -> HTTPStatus:
        """The status of the answer."""
        return HTTPStatus.OK if self.waits_for is None else HTTPStatus.SERVICE_UNAVAILABLE

    def to_json(self) -> dict[str, Any]:
        """The body of the answer."""
        waits = {} if self.waits_for is None else {"waits_for": self.waits_for}
        return {"ready": self.waits_for is None, "role": self.role.value, **waits}

    @classmethod
    def from_json(cls, body: bytes) -> Probe:
        """Parse an answer. Raises ValueError."""
        if len(body) > MAX_PROBE_BYTES:
            raise ValueError(f"an answer of /readyz has at most {MAX_PROBE_BYTES} bytes; this one has {len(body)}")
        data = json.loads(body)
        if not isinstance(data, dict) or not isinstance(data.get("ready"), bool):
            raise ValueError("an answer of /readyz is a JSON object with `ready`")
        waits_for = data.get("waits_for")
        if (waits_for is None) is not data["ready"] or not isinstance(waits_for, str | None):
            raise ValueError("an answer of /readyz names what a role waits for if, and only if, it is not ready")
        return cls(Role(str(data.get("role"))), waits_for)
