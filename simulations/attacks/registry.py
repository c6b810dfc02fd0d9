"""The attacks of the lab, by name."""

from __future__ import annotations

from typing import Final

from .attack import Attack
from .attribute import Attribute
from .colluding_sites import ColludingSites
from .differencing import Differencing
from .drop_all_but_one import DropAllButOne
from .membership import Membership
from .poisoning import Poisoning
from .reconstruction import Reconstruction
from .straggler import Straggler
from .sybil import Sybil
from .sybil_enrolled import SybilEnrolled

ATTACKS: Final[dict[str, Attack]] = {
    attack.name: attack
    for attack in (
        Differencing(),
        Membership(),
        Reconstruction(),
        Attribute(),
        Poisoning(),
        Sybil(),
        SybilEnrolled(),
        DropAllButOne(),
        ColludingSites(),
        Straggler(),
    )
}
"""The attacks by name, in the order of `texts.TEXTS`."""
