"""The terms under which a pane was opened, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from deployment.inspect.ledger_view import moment_of
from deployment.inspect.releases import claims_of, sites_to_json, state_of
from deployment.inspect.verification import UNSIGNED, VerificationResult

from .epsilons import print_claims
from .output import Output
from .tables import Cell, Table

if TYPE_CHECKING:
    from featurestore.define.privacy import Noisers
    from featurestore.define.release import Manifest, Release, Void


_TRUST: Final = {
    "two-honest-noisers": "ε against outsiders holds if both added their half of the noise and keep it; else ε against an "
    "aggregator holds",
    "one-honest-noiser": "the claim holds if leader or helper is honest: each has added the full noise",
    "honest-leader": "the claim holds if the leader follows the protocol and does not collude with the key holder",
    "honest-leader-and-key-holder": "the leader must follow the protocol and not collude with the key holder. Then ε against "
    "outsiders holds if the key holder, too, added its half of the noise and keeps it; else ε against an aggregator holds",
    "in-process": "one process played every role and saw every event; the claim holds for what it published",
}
_PROTECTION: Final = {
    "shares": "each report was sent as two additive shares; one share alone is random",
    "he": "each report was sent encrypted (BFV). It is private if the leader follows the protocol and does not collude with the "
    "key holder, who decrypts noised sums only. Nothing bounds what a client encrypts",
}
_VALIDITY: Final = {
    "none": "no proof bounds what a dishonest client reports",
    "prio3": "every report carries a proof, verified by both aggregators, that it is within the view's bounds",
}
_FINISH: Final = {
    "mpc": "cells below suppress_below were compared under MPC (experimental) and never opened; their sums here are zeros as "
    "placeholders",
}
_REPORT_PER: Final = {
    "site": "each site bounded its clients one by one and sent their sum, so a proof bounds a site's report, not a client's"
}
_OUTSIDE: Final = {
    "attempts": "whether the pane was opened at the first attempt follows from the events",
    "activity": "{who} see how many clients of a site had events in the pane",
    "counted_sites": "which sites are counted is published; a site is missing if all of its reports were rejected or came too late",
    "days": "the collected days reveal which days hold events: the run had no --from and --to",
    "sites": "the participating sites reveal which sites have events: the run took them from a column of the events",
}


def print_terms(item: Release | Void, tombstone: Void | None, verified: VerificationResult, out: Output) -> None:
    """Print a release's manifest, with its state, hashes and signature."""
    manifest = item.manifest
    out.print(f"release {item.release_id.hex()}", style="bold")
    facts = [
        ("pane", f"{manifest.view}, {moment_of(item.pane_start)} … {moment_of(item.pane_end)}"),
        ("state", state_of(item, tombstone)),
        ("released", f"{moment_of(item.released_at)}, published {moment_of(item.published_at)}, clock {item.clock}"),
        *([("retracted", moment_of(tombstone.released_at))] if tombstone else []),
        ("mechanism", _mechanism(manifest)),
        ("price", _price(manifest)),
        ("trust", _trust(manifest)),
        ("protection", f"{manifest.protection}: {_PROTECTION.get(manifest.protection, 'unknown to this version')}"),
        ("validity", f"{manifest.validity}: {_VALIDITY.get(manifest.validity, 'unknown to this version')}"),
        *([("finish", _finish(manifest))] if manifest.suppressed else []),
        *([("report per", _report_per(manifest))] if manifest.of_sites else []),
        ("k", _k(manifest)),
        ("sites", _sites(manifest)),
        *(
            ("", f"{site}: {state}")
            for site, state in (sites_to_json(manifest, verified) or {"sites": {}})["sites"].items()
        ),
        ("outside claim", _outside(manifest)),
        ("view", f"{manifest.view} version {manifest.view_version}, definition {manifest.definition_hash}"),
        ("plan", manifest.plan_hash),
        *((f"{role} signed", digest or "nothing: one process") for role, digest in _commitments(manifest)),
        ("content", item.content_hash.hex()),
        ("signature", item.signature.hex() or "none"),
        ("signed by", _signed_by(verified)),
    ]
    out.facts(facts)
    if manifest.noisy:
        print_claims(claims_of(manifest), manifest.delta, out)
    _print_groups(item, out)


def _signed_by(verified: VerificationResult) -> str:
    if verified.key is not None:
        return f"the collector's key {verified.key.hex()}; `covey release verify` passes"
    return UNSIGNED if verified.unsigned else f"not verified, {verified.failed}: {verified.why}"


def _trust(manifest: Manifest) -> str:
    if not manifest.noisy:
        return f"{manifest.trust}: without noise there is no privacy claim"
    return f"{manifest.trust}: {_TRUST.get(manifest.trust, 'unknown to this version')}"


def _mechanism(manifest: Manifest) -> str:
    if not manifest.noisy:
        return "no noise: an exact sum, for tests and labs"
    noisers = f"{manifest.noisers} noises {_scale(manifest.noise_split)} ({manifest.noise_source})"
    factor = f"√{manifest.noisers} = {manifest.noise_factor:.3g}"
    return f"{manifest.noise}, {noisers}; together their error is {factor} times that of one"


def _scale(noise_split: Noisers) -> str:
    match noise_split:
        case "each":
            return "of the full scale"
        case "shared":
            return "of half the variance each"
        case _:
            assert_never(noise_split)


def _price(manifest: Manifest) -> str:
    from federation.rho import rho_text

    rho = f"ρ = {manifest.micro_rho / 1e6:g} a client-day, for any number of its panes{_against(manifest)}"
    if manifest.leak_micro_rho:
        rho += f" ({rho_text(manifest.leak_micro_rho)} of it for the decryption noise, which the key holder sees)"
    return rho if manifest.noisy else f"{rho}, as charged; without noise there is no privacy"


def _against(manifest: Manifest) -> str:
    match manifest.noise_split:
        case "each":
            return ""
        case "shared":
            outside = f"ρ = {(manifest.micro_rho - manifest.leak_micro_rho) / 2e6:g}"
            return f", against an aggregator; {outside} against outsiders if both aggregators are honest"
        case unknown:
            assert_never(unknown)


def _k(manifest: Manifest) -> str:
    counted = "clients, as their sites declare" if manifest.of_sites else "reports"
    least = f"at least {manifest.min_clients} {counted}, participation {manifest.participation}"
    return least if manifest.k_checked_by == "both" else f"{least}; checked by the {manifest.k_checked_by} only"


def _sites(manifest: Manifest) -> str:
    if (sites := manifest.sites) is None:
        return "not counted: one process played every site, or the pane is void by a decision"
    share = f"{sites.millionths / 10_000:.4g} % of enrolled clients ({sites.clients:,} of {sites.enrolled_clients:,})"
    return f"{sites.counted:,} of {sites.enrolled:,} counted, with {share}"


def _finish(manifest: Manifest) -> str:
    return f"{manifest.finish}: {_FINISH.get(manifest.finish, 'unknown to this version')}"


def _report_per(manifest: Manifest) -> str:
    return f"{manifest.report_per}: {_REPORT_PER.get(manifest.report_per, 'unknown to this version')}"


def _outside(manifest: Manifest) -> str:
    who = "coordinator and leader" if manifest.encrypted else "coordinator, leader and helper"
    known = {name: text.format(who=who) for name, text in _OUTSIDE.items()}
    said = (f"{name}: {known.get(name, 'unknown to this version')}" for name in manifest.outside_claim)
    return "; ".join(said) or "nothing"


def _commitments(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    other = "key holder" if manifest.encrypted else "helper"
    return tuple(zip(("leader", other), manifest.commitments, strict=True))


def _print_groups(item: Release | Void, out: Output) -> None:
    table = Table("noise group", "Δ₁", "Δ₂", "ρ", "σ or b of one", "se opened", of=("release", item.release_id.hex()))
    for group in item.manifest.groups:
        letter = "σ" if group.mechanism == "gaussian" else "b"
        table.add_row(
            f"{group.feature}: {group.kind.replace('_', ' ')}",
            group.delta1,
            group.delta2_sq**0.5,
            Cell(f"{group.micro_rho / 1e6:g}", group.micro_rho / 1e6),
            Cell(f"{letter} = {group.scale:.4g}", group.scale),
            group.standard_error,
        )
    out.table(table)
    out.print(
        "Δ: sensitivity of a client-day; ρ: against an aggregator; σ or b: of one aggregator's noise; se: of both together"
    )
