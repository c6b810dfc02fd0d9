"""What a view costs, told in ε: zCDP is held as whole micro-ρ and composed by adding; ε at δ is for people."""

from __future__ import annotations

from fractions import Fraction


def epsilon(micro_rho: int, delta: float, days: int = 1) -> float:
    """ε of `days` client-days at ρ = micro_rho/10⁶ each, by dp-accounting's RDP accountant (Mironov 2017; ρ-zCDP is
    (α, ρα)-RDP for all α).

    Args:
        micro_rho: ρ of one client-day in millionths.
        delta: the δ at which ε is told.
    """
    from dp_accounting import ZCDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant()
    accountant.compose(ZCDpEvent(float(Fraction(micro_rho, 10**6))), days)
    return float(accountant.get_epsilon(delta))
