"""Announce a plan: the aggregators open it without the panes of days whose budget is spent.

Leader and helper keep separate ledgers and may refuse different days. A plan that only one of them has opened charges
nothing: an aggregator charges when it closes a plan.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

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


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Panes of one view whose days have no budget left for the view.

    Attributes:
        planned: the view with these panes only.
        full_plan, signed: the plan that first contained these panes, and its signed bytes. Their voids refer to it.
    """

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
            {"asked": _text(one.signed), "view": one.planned.view.name, "panes": one.planned.pane_starts.tolist()}
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
            left = tuple(_left_out(plan_bytes, coordinator, one["view"], one["panes"]) for plan_bytes, one in saved)
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
    """Run by the coordinator: open the plan at both aggregators, without the panes that no budget covers.

    A refusal names one view and one day. The plan without that view's panes of the day is a new plan, with its own id and
    keys.

    Args:
        plan: a draft, or the plan of an earlier announcement, which is announced again unchanged.
        keys: under `he`, the encryption keys of an earlier announcement's plan.
        earlier: the panes that an earlier announcement has left out.

    Raises:
        PlanInvalid: an aggregator's part does not fit the draft.
        RemoteRefusal: any other refusal, or one that names a view or day outside the plan. Unreachable.
    """
    full_plan = plan
    if plan.wire is not None and plan.wire.leader_live is None:
        full_plan, keys = _prepared(plan, coordinator, parties)
    first = signed = sign_plan(full_plan, coordinator)
    left: dict[str, set[int]] = {}
    rest: Plan | None = full_plan
    while rest is not None:
        try:
            parties.open_plan(signed, keys)
            break
        except RemoteRefusal as refused:
            if refused.reason != RefusalCode.DAY_BUDGET_SPENT or "day" not in refused.numbers:
                raise
            view, day = refused.view, refused.numbers["day"]
            if not any(one.view.name == view and (one.pane_starts // DAY_US == day).any() for one in rest.views):
                raise
        left.setdefault(view, set()).add(day)
        rest, signed = _without(rest, view, day, randomness), b""
        if rest is not None:
            rest, keys = _prepared(rest, coordinator, parties)
            signed = sign_plan(rest, coordinator)
    mine = tuple(
        LeftOut(_of_days(one, sorted(left[one.view.name]), inside=True), full_plan, first)
        for one in full_plan.views
        if one.view.name in left
    )
    return Announcement(rest, signed, (*earlier, *mine), keys if rest is not None else b"")


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


def _without(plan: Plan, view: str, day: int, randomness: Randomness) -> Plan | None:
    """The plan without a view's panes of a UTC day; None if no pane remains."""
    views = tuple(_of_days(one, [day], inside=False) if one.view.name == view else one for one in plan.views)
    views = tuple(one for one in views if len(one.pane_starts))
    return replace(plan, plan_id=randomness(PLAN_ID_BYTES), views=views) if views else None


def _of_days(planned: PlannedView, days: list[int], *, inside: bool) -> PlannedView:
    """A planned view with only its panes of these UTC days, or only its other panes."""
    of_days = np.isin(planned.pane_starts // DAY_US, days)
    return replace(planned, pane_starts=planned.pane_starts[of_days if inside else ~of_days])


def _left_out(signed: bytes, coordinator: VerifyKey, view: str, panes: list[int]) -> LeftOut:
    full_plan = verify_plan(signed, coordinator)
    planned = next(one for one in full_plan.views if one.view.name == view)
    return LeftOut(replace(planned, pane_starts=np.array(panes, dtype=np.int64)), full_plan, signed)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
