"""The privacy label of views as sentences and tables."""

from __future__ import annotations

from typing import assert_never

from deployment.inspect.privacy_label import (
    EncryptedCost,
    ExpectedError,
    FeatureExplanation,
    PresentPrice,
    PrivacyLabel,
    ViewExplanation,
)
from featurestore.define.epsilon import rounded_up
from federation.circuit.cost import ProofCost
from federation.rho import rho_text

from .epsilons import print_claims
from .output import Output
from .tables import Cell, Table


def print_label(label: PrivacyLabel, out: Output) -> None:
    """Print each view, then the cost of all views together."""
    for view in label.views:
        _print_view(view, out)
    _print_total(label, out)


def _print_view(view: ViewExplanation, out: Output) -> None:
    out.heading(view.view)
    out.facts(_facts(view))
    print_claims(view.cost.epsilon, view.cost.delta, out)
    if view.present is not None:
        _print_present(view, view.present, out)
    _print_groups(view, out)
    _print_errors(view, out)
    _print_filtered(view, out)
    drowned = [feature for feature in view.features if feature.expected[0].drowned]
    for feature in drowned:
        out.print(f"warning: {_drowns(feature)}", style="yellow")
    if drowned:
        out.print(
            "Less noise: use a wider window (free, but not for a ClientCount), a larger part of the price (`weight=`), "
            "smaller `bounds`, or fewer keys"
        )
    out.print()


def _facts(view: ViewExplanation) -> list[tuple[str, str]]:
    windows = f", windows {' '.join(view.windows)}" if view.windows else ""
    activity = (
        "activity, under participation `active` (only clients with an event report): coordinator, leader and helper see how "
        "many clients of a site were active in a pane, and every reader sees whether the pane reached k. Nothing, under "
        "participation `all` (every enrolled client reports). `covey run` also reveals the days of the events, without --from "
        "and --to, and their sites, with --site-column"
    )
    return [
        ("entity", f"{' × '.join(view.entity)} ({_many(view.keys, 'key')}), pane {view.pane}{windows}"),
        (
            "a report",
            f"{_many(view.slots, 'slot')}; {view.report_bytes_leader:,} bytes to the leader, "
            f"{view.report_bytes_helper} to the helper",
        ),
        ("with proofs", _with_proofs(view.with_proofs)),
        *([("report per", _report_per(view))] if view.site_clients else []),
        *([("encrypted", _encrypted(view.encrypted))] if not view.site_clients else []),
        ("unit", view.unit),
        ("neighbours", view.neighbours),
        (
            "bounds",
            f"at most {_many(view.max_cells, 'cell')} (key, pane) of a client-day, "
            f"{_many(view.max_events_per_cell, 'event')} in each",
        ),
        (
            "mechanism",
            f"discrete {view.mechanism.title()}. {_noisers(view)}; together their error is √2 = {view.noise_factor:.2f} times "
            "that of one",
        ),
        ("price", _price(view)),
        ("outside claim", activity),
        ("k", f"a pane opens at {view.min_clients:,} {_counted(view)}: a precaution, not part of the privacy claim"),
    ]


def _noisers(view: ViewExplanation) -> str:
    match view.noise_split:
        case "each":
            return "Leader and helper each add all of the noise, so that one honest noiser is enough"
        case "shared":
            return (
                "Leader and helper each add half of the variance. The price holds against outsiders if both are honest. Against "
                "one of them, and against everybody if one cheats, the ε against an aggregator holds"
            )
        case unknown:
            assert_never(unknown)


def _counted(view: ViewExplanation) -> str:
    return "clients, as sites declare them" if view.site_clients else "reports"


def _report_per(view: ViewExplanation) -> str:
    return (
        f"site: the sum of {_many(view.site_clients, 'client')} at most, each within the bounds; the proof bounds the sum. "
        "docs/cross-silo.md"
    )


def _with_proofs(cost: ProofCost) -> str:
    return (
        f"{cost.report_bytes_leader:,} bytes to the leader, {cost.report_bytes_helper} to the helper; {cost.measurement:,} "
        f"+ {cost.proofs} × {cost.proof:,} elements of {cost.field}, {cost.sum_vec_ratio:.2f} times a SumVec of the slots' "
        f"bits. A report outside the bounds passes with probability 2^-{int(cost.soundness_bits)} a try, at most. "
        f"Prio3 with Covey's own circuit, algorithm 0x{cost.algorithm:08X}: docs/validity.md"
    )


def _encrypted(one: EncryptedCost) -> str:
    if one.why_not is not None:
        return f"not possible with protection he: {one.why_not}"
    return (
        f"with protection he, {_many(one.ciphertexts, 'ciphertext')} of {one.degree:,} slots, {one.report_bytes_leader:,} "
        f"bytes, to the leader, for at most {one.clients:,} clients; costs ρ = {rho_text(one.leak_micro_rho)} more. docs/he.md"
    )


def _price(view: ViewExplanation) -> str:
    """The requested price, the charge, and the loss by rounding."""
    laplace = view.mechanism == "laplace"
    name = "ε" if laplace else "ρ"
    charged = rho_text(view.held_millionths - view.lost_millionths)
    held = f"{name} = {charged} a client-day"
    if view.asked_epsilon is not None and not laplace:
        held += f", for ε ≤ {view.asked_epsilon:g} at δ = {view.cost.delta:g} requested"
    else:
        asked = view.asked_epsilon if laplace else view.asked_rho
        held += f", of {asked:.10g} requested"
    lost = f"rounding lost {rho_text(view.lost_millionths)}" if view.lost_millionths else "rounding lost nothing"
    return f"{held}; {lost}{_ledger_charge(view)}"


def _ledger_charge(view: ViewExplanation) -> str:
    """What a ledger charges, where that is not the view's price."""
    charge = f"; a ledger charges ρ = {rho_text(view.cost.micro_rho)} for it"
    match view.mechanism, view.noise_split:
        case "laplace", _:
            return f"{charge} (ε²/2 of each group)"
        case _, "shared":
            return f"{charge}, the price against an aggregator"
        case _:
            return ""


def _print_present(view: ViewExplanation, present: PresentPrice, out: Output) -> None:
    """The price and noise that the view would get now, and how."""
    before, after = view.groups[0], present.groups[0]
    day = present.epsilon[0]
    out.print(
        "This store has the view at another price: that of an earlier version, or of another default of `noisers`. The same "
        f"definition gets ρ = {rho_text(present.micro_rho)} a client-day now, with at most {_many(present.max_cells, 'cell')}: "
        f"ε ≤ {rounded_up(day.outsiders)} against outsiders and {rounded_up(day.aggregator)} against an aggregator. Its noise "
        f"would be {after.scale / before.scale:.2f} times as large (se of an opened {before.feature} sum {after.opened_se:.4g} "
        f"instead of {before.opened_se:.4g})"
    )
    out.print(
        "`covey apply VIEWS.py --reprice` takes that price; if panes are published, as the next version of the view"
    )
    out.print()


def _print_groups(view: ViewExplanation, out: Output) -> None:
    laplace = view.mechanism == "laplace"
    norm, price, scale = ("Δ₁", "ε", "b") if laplace else ("Δ₂", "ρ", "σ")
    table = Table("noise group", "slots a key", "bits", norm, price, f"{scale} of one", "se opened")
    for group in view.groups:
        table.add_row(
            f"{group.feature}: {group.group.replace('_', ' ')}",
            group.slots_per_key,
            group.bits,
            group.sensitivity,
            rho_text(group.micro_epsilon if laplace else group.micro_rho),
            group.scale,
            group.opened_se,
        )
    out.table(table, aside=True)
    out.print(
        f"{norm}: sensitivity of a client-day; {price}: against an aggregator; {scale}: of one aggregator's noise; se: of both "
        "together"
    )
    out.print()


def _print_errors(view: ViewExplanation, out: Output) -> None:
    clients = [error.clients for error in view.features[0].expected]
    both_ways = any(feature.other_way is not None for feature in view.features)
    headers = ["feature", "read from", *(f"n = {n:,}" for n in clients), *(["alternative"] if both_ways else [])]
    table = Table(*headers, of=("view", view.view))
    for feature in view.features:
        where = feature.derived_from or "own slots"
        other = feature.other_way or ()
        alternative = Cell(" / ".join(map(_error, other)), [error.se for error in other] or None)
        table.add_row(
            feature.feature,
            where,
            *(Cell(_error(error), error.se) for error in feature.expected),
            *([alternative] if both_ways else []),
        )
    out.print("Expected standard error due to noise, of one key and pane with n clients (one event each):")
    out.table(table)


def _print_filtered(view: ViewExplanation, out: Output) -> None:
    for one in view.filtered:
        season = "no season" if one.season is None else f"season {one.season} in the local time of {one.tz}"
        out.print(
            f"{', '.join(one.features)}: filtered from {one.rate}, half-life {one.half_life}, s₀ {one.sd:g}, {season}. They "
            f"cost nothing; their standard error covers {one.se}"
        )


def _drowns(feature: FeatureExplanation) -> str:
    """The warning about a feature that noise drowns at the first number of clients."""
    clients = feature.expected[0].clients
    if feature.enough_clients is None:
        return f"noise drowns {feature.feature} at {clients} clients, and at any other number"
    return (
        f"noise drowns {feature.feature} at {clients} clients a key and pane; it needs about {feature.enough_clients:,}"
    )


def _print_total(label: PrivacyLabel, out: Output) -> None:
    total, over = label.total, label.over_budget
    count = len(label.views)
    what = "this view costs" if count == 1 else f"these {count} views cost"
    out.print(
        f"In all, {what} ρ = {rho_text(total.micro_rho)} a client-day against an aggregator, which budgets count by default, and "
        f"{rho_text(total.outsiders_micro_rho)} against outsiders."
    )
    if count > 1:
        print_claims(total.epsilon, total.delta, out)
    budget = f"the default budget of ρ = {rho_text(label.budget_micro_rho)} a client-day"
    if over:
        out.print(
            f"warning: that is {rho_text(over)} more than {budget}: aggregators refuse a plan that exceeds the budget. "
            "Lower the views' prices, or raise the budget (`budget` in covey.toml, `run --budget`)",
            style="yellow",
        )
    else:
        out.print(f"That is within {budget}.")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _error(error: ExpectedError) -> str:
    if error.se is None:
        return "null"
    return f"{error.se:.3g} (drowned)" if error.drowned else f"{error.se:.3g}"
