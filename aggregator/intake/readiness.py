"""What an aggregator would answer to a plan, before the plan exists. Nothing is drawn, charged or written.

coordinator  signed draft ──Check──► version, clock, and the first reason why the plan would not be opened
"""

from __future__ import annotations

from dataclasses import dataclass

from aggregator.services import aggregator_pb2 as pb

from .refusals import Refusal


@dataclass(frozen=True)
class Readiness:
    """An aggregator's answer to a draft.

    Attributes:
        version: its version of Covey; protocol: of its messages (base/version.py).
        now_us: its clock, µs since the epoch.
        refusal: with which it would refuse the plan as a whole; a budget that does not cover a day, or a pane that is taken,
            names the view, and the days or panes. None: it would open the plan.
    """

    version: str
    protocol: int
    now_us: int
    refusal: Refusal | None

    def to_message(self) -> pb.CheckReply:
        """As protobuf."""
        refusal = None if self.refusal is None else self.refusal.to_message()
        return pb.CheckReply(version=self.version, protocol=self.protocol, now_us=self.now_us, refusal=refusal)

    @classmethod
    def from_message(cls, message: pb.CheckReply) -> Readiness:
        """From protobuf."""
        refusal = Refusal.from_message(message.refusal) if message.HasField("refusal") else None
        return cls(message.version, message.protocol, message.now_us, refusal)
