"""Announce a plan: the aggregators open it without the panes of days whose budget is spent, and without taken panes.

Leader and helper keep separate ledgers and may refuse different days. A plan that only one of them has opened charges
nothing: an aggregator charges when it closes a plan.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np

from aggregator.errors import RemoteRefusal
from aggregator.intake.preparation import Preparation
from base.atomic_files import replace_file
from base.times import DAY_US
from crypto.signing import SigningKey, VerifyKey
from deployment.errors import JobMalformed
from federation.batch.reports import Randomness
from federation.draft import draft_of, sign_draft
from federation.he.keys import keys_hash
from federation.plan import PLAN_ID_BYTES, Plan, PlannedView
from federation.refusal_codes import RefusalCode
from federation.signed_plan import sign_plan, verify_plan

Reason = Literal["budget", "taken"]
_REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Panes of one view that a plan leaves out.

    Attributes:
        reason: `budget`: their days have no budget left for the view. `taken`: another plan has taken them.
        planned: the view with these panes only.
        full_plan, signed: the plan that first contained these panes, and its signed bytes. Their voids refer to it.
    """

    reason: Reason
    planned: PlannedView
    full_plan: Plan
    signed: bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Announcement:
    """A plan without its left-out panes, opened at both aggregators.

    Attributes:
        plan: None if all panes were left out.
        signed: the plan's signed bytes, for the sites; empty without a plan.
        encryption_keys: under `he`, the key holder's signed public keys, for the sites.
    """

    plan: Plan | None
    signed: bytes = field(repr=False)
    left_out: tuple[LeftOut, ...] = ()
    encryption_keys: bytes = field(default=b"", repr=False)

    def save(self, path: Path) -> None:
        """Write the file atomically, so that a restarted coordinator continues with the same plan."""
        left = [
            {
                "reason": one.reason,
                "asked": _text(one.signed),
                "view": one.planned.view.name,
                "panes": one.planned.pane_starts.tolist(),
            }
            for one in self.left_out
        ]
        data = {"plan": _text(self.signed), "left_out": left, "encryption_keys": _text(self.encryption_keys)}
        replace_file(path, json.dumps(data), private=True)

    @classmethod
    def load(cls, path: Path, coordinator: VerifyKey) -> Announcement:
        """Read a saved announcement. Raises JobMalformed, and the errors of `verify_plan`."""
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            signed = base64.b64decode(data["plan"], validate=True)
            plan = verify_plan(signed, coordinator) if signed else None
            keys = base64.b64decode(data["encryption_keys"], validate=True)
            saved = [(base64.b64decode(one["asked"], validate=True), one) for one in data["left_out"]]
            left = tuple(_left_out(plan_bytes, coordinator, one) for plan_bytes, one in saved)
        except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
            raise JobMalformed(f"{path} is not a coordinator's announcement: {error!r}") from None
        return cls(plan, signed, left, keys)


class OpeningParties(Protocol):
    """The two aggregators that a plan is announced to. Each call raises RemoteRefusal or Unreachable."""

    def open_plan(self, signed: bytes, encryption_keys: bytes = b"") -> object:
        """Open a signed plan at both aggregators."""

    def prepare(self, signed_draft: bytes) -> tuple[Preparation, Preparation]:
        """Make each aggregator's part of a plan, such as its keys: signed draft → the parts of leader and the other one."""
        ...


def announce(
    plan: Plan,
    coordinator: SigningKey,
    parties: OpeningParties,
    randomness: Randomness,
    earlier: tuple[LeftOut, ...] = (),
    keys: bytes = b"",
) -> Announcement:
    """Run by the coordinator: open the plan at both aggregators, without the panes that they refuse.

    A refusal names one view, and a day without budget or a row of taken panes. The plan without these panes is a new plan,
    with its own id and keys.

    Args:
        plan: a draft, or the plan of an earlier announcement, which is announced again unchanged.
        keys: under `he`, the encryption keys of an earlier announcement's plan.
        earlier: the panes that an earlier announcement has left out.

    Raises:
        PlanInvalid: an aggregator's part does not fit the draft.
        RemoteRefusal: any other refusal, or one that names panes outside the plan. Unreachable.
    """
    full_plan = plan
    if plan.wire is not None and plan.wire.leader_live is None:
        full_plan, keys = _prepared(plan, coordinator, parties)
    first = signed = sign_plan(full_plan, coordinator)
    left: list[LeftOut] = []
    rest: Plan | None = full_plan
    while rest is not None:
        try:
            parties.open_plan(signed, keys)
            break
        except RemoteRefusal as refused:
            found = _refused_panes(refused, rest)
            if found is None:
                raise
        reason, planned = found
        left.append(LeftOut(reason, planned, full_plan, first))
        rest, signed = _without(rest, planned, randomness), b""
        if rest is not None:
            rest, keys = _prepared(rest, coordinator, parties)
            signed = sign_plan(rest, coordinator)
    return Announcement(rest, signed, (*earlier, *_joined(left)), keys if rest is not None else b"")


def _refused_panes(refused: RemoteRefusal, plan: Plan) -> tuple[Reason, PlannedView] | None:
    """The panes of a plan that a refusal names; None if it names none."""
    planned = next((one for one in plan.views if one.view.name == refused.view), None)
    if planned is None:
        return None
    panes, numbers = planned.pane_starts, refused.numbers
    match refused.reason, numbers:
        case RefusalCode.DAY_BUDGET_SPENT, {"day": day}:
            reason, chosen = _REASONS[0], panes // DAY_US == day
        case RefusalCode.PANE_ALREADY_REPORTED | RefusalCode.ATTEMPTS_SPENT, {"pane_start": first}:
            reason, chosen = _REASONS[1], (panes >= first) & (panes <= numbers.get("last_start", first))
        case _:
            return None
    return (reason, replace(planned, pane_starts=panes[chosen])) if chosen.any() else None


def _joined(left: Sequence[LeftOut]) -> Iterator[LeftOut]:
    """One for each view and reason."""
    groups: dict[tuple[str, Reason], list[LeftOut]] = {}
    for one in left:
        groups.setdefault((one.planned.view.name, one.reason), []).append(one)
    for same in groups.values():
        panes = np.sort(np.concatenate([one.planned.pane_starts for one in same]))
        yield replace(same[0], planned=replace(same[0].planned, pane_starts=panes))


def _prepared(plan: Plan, coordinator: SigningKey, parties: OpeningParties) -> tuple[Plan, bytes]:
    """The plan with the parts of both aggregators, and the signed encryption keys of its reports."""
    if plan.wire is None:
        return plan, b""
    leader, helper = parties.prepare(sign_draft(plan, coordinator))
    keys = helper.encryption_keys
    wire = replace(
        draft_of(plan).wire or plan.wire,
        verify_key_hash=leader.verify_key_hash,
        encryption_keys_hash=keys_hash(keys) if keys else b"",
        leader_live=leader.live,
        helper_live=helper.live,
    )
    return replace(plan, wire=wire), keys


def _without(plan: Plan, left: PlannedView, randomness: Randomness) -> Plan | None:
    """The plan without these panes of a view; None if no pane remains."""
    views = tuple(
        replace(one, pane_starts=np.setdiff1d(one.pane_starts, left.pane_starts)) if one.view == left.view else one
        for one in plan.views
    )
    views = tuple(one for one in views if len(one.pane_starts))
    return replace(plan, plan_id=randomness(PLAN_ID_BYTES), views=views) if views else None


def _left_out(signed: bytes, coordinator: VerifyKey, data: Mapping[str, Any]) -> LeftOut:
    full_plan = verify_plan(signed, coordinator)
    planned = next(one for one in full_plan.views if one.view.name == data["view"])
    reason = _REASONS[_REASONS.index(data["reason"])]
    return LeftOut(reason, replace(planned, pane_starts=np.array(data["panes"], dtype=np.int64)), full_plan, signed)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
