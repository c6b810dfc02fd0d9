"""Plans that a site refuses, by what is wrong with them, with the code of each refusal."""

from __future__ import annotations

from federation.refusal_codes import RefusalCode
from tests.aggregator.world import NOW
from tests.federation.wire import HELPER, LEADER, OTHER_SITE

from .making import plan_with, sign

GOOD = sign(plan_with())
REFUSED: dict[str, tuple[bytes, RefusalCode]] = {
    "nothing": (b"", RefusalCode.PLAN_UNSIGNED),
    "garbage": (b"\xff" * 40, RefusalCode.PLAN_UNSIGNED),
    "cut": (GOOD[:-1], RefusalCode.PLAN_UNSIGNED),
    "more bytes": (GOOD + b"\x1a\x01x", RefusalCode.PLAN_UNSIGNED),
    "too long": (bytes(5 * 2**20), RefusalCode.PLAN_UNSIGNED),
    "an edited plan": (GOOD.replace(b"shares", b"Shares"), RefusalCode.PLAN_UNSIGNED),
    "a foreign coordinator": (sign(plan_with(), LEADER), RefusalCode.PLAN_UNSIGNED),
    "another leader": (sign(plan_with(leader=OTHER_SITE.sign.public)), RefusalCode.KEY_NOT_PINNED),
    "another helper": (sign(plan_with(helper=OTHER_SITE.sign.public)), RefusalCode.KEY_NOT_PINNED),
    "swapped aggregators": (
        sign(plan_with(leader=HELPER.sign.public, helper=LEADER.sign.public)),
        RefusalCode.KEY_NOT_PINNED,
    ),
    "an old plan": (sign(plan_with(deadline_us=NOW)), RefusalCode.PLAN_EXPIRED),
    "noise off": (sign(plan_with("none")), RefusalCode.NOISE_OFF),
}
