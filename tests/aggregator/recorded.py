"""Both aggregators in this process behind the coordinator's interface, with every byte that each role receives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from aggregator.collect.aggregate_share import SealedShare
from aggregator.collect.collection import CollectedShares
from aggregator.collect.collection_job import collect_request
from aggregator.errors import RemoteRefusal
from aggregator.intake.preparation import Preparation
from aggregator.intake.refusals import refusal_of
from aggregator.intake.submission import Submission
from aggregator.services import aggregator_pb2 as pb
from aggregator.services.share_parts import shares_from_parts, shares_to_parts
from federation.keys import RoleKeys
from federation.parties import Aggregator
from federation.plan import Plan
from tests.aggregator.world import SETTINGS, Clock, LocalLink, make_helper, make_leader

_T = TypeVar("_T")


class RecordingLink(LocalLink):
    """The leader's link to the helper; it records both directions."""

    def __init__(self, helper: Any, received: dict[str, list[bytes]]) -> None:
        super().__init__(helper)
        self.received = received

    def _call(self, call: Any, data: bytes) -> Any:
        self.received["helper"].append(data)
        try:
            reply = super()._call(call, data)
        except RemoteRefusal as refused:
            self.received["leader"].append(_refusal(refused))
            raise
        if isinstance(reply, bytes):
            self.received["leader"].append(reply)
        return reply


class Recorded:
    """An `aggregator.services.client.Aggregators` without a network. `received` holds each role's messages, in order."""

    def __init__(self, path: Path, settings: Any = SETTINGS) -> None:
        self.received: dict[str, list[bytes]] = {"coordinator": [], "leader": [], "helper": []}
        self.batches: list[bytes] = []
        self.told: list[bytes] = []  # what the coordinator receives, except batches and sealed shares
        self.sealed: dict[str, Any] = {}
        self.clock = Clock()
        self.helper = make_helper(path, settings, self.clock)
        self.link = RecordingLink(self.helper, self.received)
        self.leader = make_leader(path, self.link, settings, self.clock)
        self.before_collect: Callable[[], None] = lambda: None

    def close(self) -> None:
        self.leader.close()
        self.helper.close()

    def prepare(self, signed_draft: bytes) -> tuple[Preparation, Preparation]:
        helper = self._ask("helper", lambda party: party.prepare(signed_draft), signed_draft)
        leader = self._ask("leader", lambda party: party.prepare(signed_draft), signed_draft)
        for prepared in (helper, leader):
            for part in prepared.to_parts(2**20):
                self._tell(part)
        return leader, helper

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> bytes:
        assert not encryption_keys
        for role in ("helper", "leader"):
            reply = self._ask(role, lambda party: party.open_plan(signed), signed)
            self._tell(pb.OpenPlanReply(plan_hash=reply))
        return reply

    def submit(self, batch: bytes) -> Submission:
        self.batches.append(batch)
        self.received["coordinator"].append(batch)  # from the site
        reply = self._ask("leader", lambda party: party.submit(batch), batch)
        message = pb.SubmitReply(pending=reply.pending, verdicts=reply.verdicts)
        self._tell(message)
        return reply

    def collect(self, plan: Plan, keys: RoleKeys) -> CollectedShares:
        self.before_collect()
        request = collect_request(plan, keys.sign)
        return CollectedShares.of(
            plan, self._shares(plan, "leader", request), self._shares(plan, "helper", request), keys.seal
        )

    def status(self, role: Aggregator, plan_hash: bytes = b"") -> Any:
        statuses = self._ask(role, lambda party: party.status(plan_hash), plan_hash)
        plans = [
            pb.PlanStatus(
                plan_hash=one.plan_hash,
                state=one.state,
                deadline_us=one.deadline_us,
                pending=one.pending,
                rejected=one.rejected,
            )
            for one in statuses
        ]
        self._tell(pb.StatusReply(role=role, plans=plans))
        return statuses

    def _shares(self, plan: Plan, role: Aggregator, request: bytes) -> list[SealedShare]:
        parts = list(shares_to_parts(self._ask(role, lambda party: party.collect(request), request), 2**20))
        self.received["coordinator"] += [part.SerializeToString() for part in parts]
        sealed = self.sealed[role] = shares_from_parts(plan, parts)
        return sealed

    def _ask(self, role: str, call: Callable[[Any], _T], data: bytes) -> _T:
        self.received[role].append(data)
        try:
            return call(self.leader if role == "leader" else self.helper)
        except Exception as error:  # noqa: BLE001 - as the service: a refusal crosses, nothing else
            refusal = refusal_of(error)
            refused = RemoteRefusal(role, refusal.reason, refusal.text, refusal.numbers, refusal.view)
            self.told.append(_refusal(refused))
            self.received["coordinator"].append(_refusal(refused))
            raise refused from None

    def _tell(self, message: Any) -> None:
        self.told.append(message.SerializeToString(deterministic=True))
        self.received["coordinator"].append(self.told[-1])


def _refusal(refused: RemoteRefusal) -> bytes:
    numbers = [pb.Number(name=name, value=value) for name, value in sorted(refused.numbers.items())]
    message = pb.Refusal(reason=refused.reason, text=refused.text, numbers=numbers, view=refused.view)
    return message.SerializeToString(deterministic=True)
