"""`policy.toml`: a site's policy as its operator writes it. An unknown key raises an error, so no typo stays unnoticed."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo

from base.config import ConfigModel, Flag, Texts, Whole, checked
from base.toml import toml_entries
from crypto.errors import CryptoError
from crypto.signing import VerifyKey
from federation.config_values import (
    AllowedNoisers,
    AllowedParticipation,
    AllowedProtection,
    AllowedReportPer,
    AllowedValidity,
    CountedPrices,
    FormerSections,
    MicroRho,
    allowed_text,
    bytes_of_text,
    former_keys_of,
    former_to_toml,
)
from federation.errors import KeyFileError
from federation.keys import public_from_line, public_line
from federation.parties import PublicKeys
from federation.rho import rho_text

from .errors import PolicyMissing
from .policy import PIN, Policy

_PINNED: Final = re.compile(r"[a-z][a-z0-9_]*@[0-9a-f]{64}", re.ASCII)

_TEXT: Final = """\
# The policy of every site whose file names it. No plan can change it. `covey policy check PLAN` shows the site's answer.

# Pinned keys. The site refuses plans of another coordinator or for other aggregators.
coordinator = {coordinator}
leader = {leader}
helper = {helper}

views = {views}  # names of views that may be collected; * is any text, ? is one letter
columns = {columns}  # event columns that features and `where` may read; "*" is any
join_keys = {join_keys}  # columns by which a view may split its counts; "*" is any
# A view's name does not show what it reads; `covey policy check PLAN` does. These lines allow one definition, or some columns only:
# views = ["dest_delay@9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
# columns = ["arr_delay"]
# join_keys = ["dest"]
max_rho_per_day = {max_rho_per_day}  # the most that one client-day may cost over all views
# The prices that count in it: "aggregator" (what one aggregator may learn, who knows its own noise), or "outsiders" (what those
# may learn who see releases only: this trusts both aggregators; against one of them a client-day then costs up to twice as much).
budget_counts = {budget_counts}
overlap = {overlap}  # true: two versions of one view may be collected on one day, and each of them costs the day
min_k = {min_k}  # the smallest min_clients of a view
time_columns = {time_columns}  # more columns from which a view may take the time of events; each is charged separately
max_answer_mib = {max_answer_mib}  # the largest answer to a plan under which all enrolled clients report
participation = {participation}  # "all", "active" or "any": answer only plans with this participation
protection = {protection}  # "shares", "he" (encrypted reports; the leader alone counts the clients) or "any"
validity = {validity}  # "prio3" (every report proves that it is within the view's bounds) or "any"
noisers = {noisers}  # "each" (one honest aggregator is enough for a view's price) or "any" (under "shared" it needs both)
max_plan_hours = {max_plan_hours}  # longest time from now for which the secrets that open a plan's reports may exist
report_per = {report_per}  # "client" (never one report with the sum of the site's clients) or "any"

# Allows participation "active": coordinator, leader and helper then see how many clients of a site had events in a pane.
allow_activity_visible = {allow_activity_visible}
# For tests and labs only: exact sums, no privacy.
allow_noise_off = {allow_noise_off}

# `covey keys accept` adds a [[former]] section for each key that a rotation replaced: plans that are due before its end name it.
"""


def policy_to_toml(policy: Policy) -> str:
    """The commented file that `load_policy` reads."""
    return _TEXT.format(
        coordinator=_quoted(base64.b64encode(policy.coordinator.data).decode("ascii")),
        leader=_quoted(public_line("leader", PublicKeys(policy.leader)).strip()),
        helper=_quoted(public_line("helper", PublicKeys(policy.helper)).strip()),
        views=_list(policy.views),
        columns=_list(policy.columns),
        join_keys=_list(policy.join_keys),
        max_rho_per_day=rho_text(policy.max_micro_rho),
        budget_counts=_quoted(policy.budget_counts),
        overlap=str(policy.overlap).lower(),
        min_k=policy.min_k,
        participation=_quoted(allowed_text(policy.participation)),
        protection=_quoted(allowed_text(policy.protection)),
        validity=_quoted(allowed_text(policy.validity)),
        time_columns=_list(policy.time_columns),
        max_answer_mib=policy.max_answer_mib,
        report_per=_quoted(allowed_text(policy.report_per)),
        noisers=_quoted(allowed_text(policy.noisers)),
        max_plan_hours=policy.max_plan_hours,
        allow_activity_visible=str(policy.allow_activity_visible).lower(),
        allow_noise_off=str(policy.allow_noise_off).lower(),
    ) + former_to_toml(policy.former)


def _coordinator(value: object) -> VerifyKey:
    try:
        return VerifyKey(bytes_of_text(value))
    except (ValueError, CryptoError) as error:
        raise ValueError(f"it is not a public key ({error}). Copy `sign` of [coordinator] in covey.toml") from None


def _aggregator(value: object, info: ValidationInfo) -> VerifyKey:
    """The signing key in the line of the role after which the field is named."""
    role = "leader" if info.field_name == "leader" else "helper"
    try:
        found, keys = public_from_line(f"{value}\n" if isinstance(value, str) else "", role)
    except KeyFileError as error:
        raise ValueError(str(error)) from None
    if found != role:
        raise ValueError(f"the line holds the keys of {found}, not of {role}")
    return keys.sign


def _views(views: tuple[str, ...]) -> tuple[str, ...]:
    """Check patterns and pins. A malformed pin would allow nothing, or be read as a pattern."""
    for entry in views:
        if PIN in entry and _PINNED.fullmatch(entry) is None:
            raise ValueError(
                f"{entry[:120]!r} is not NAME@HASH; HASH is the hash of the view's definition, 64 hexadecimal digits"
            )
    return views


_Line = Annotated[VerifyKey, PlainValidator(_aggregator), Field(examples=['"…"'])]


class PolicyEntries(ConfigModel):
    """The entries of `policy.toml`: the fields of `Policy`. Only the pinned keys are required."""

    coordinator: Annotated[VerifyKey, PlainValidator(_coordinator), Field(examples=['"…"'])]
    leader: _Line
    helper: _Line
    views: Annotated[Texts, Field(min_length=1), AfterValidator(_views)] = Policy.views
    max_micro_rho: Annotated[MicroRho, Field(alias="max_rho_per_day")] = Policy.max_micro_rho
    min_k: Whole = Policy.min_k
    allow_noise_off: Flag = Policy.allow_noise_off
    allow_activity_visible: Flag = Policy.allow_activity_visible
    participation: AllowedParticipation = Policy.participation
    protection: AllowedProtection = Policy.protection
    validity: AllowedValidity = Policy.validity
    time_columns: Texts = Policy.time_columns
    max_answer_mib: Whole = Policy.max_answer_mib
    report_per: AllowedReportPer = Policy.report_per
    columns: Texts = Policy.columns
    join_keys: Texts = Policy.join_keys
    max_plan_hours: Whole = Policy.max_plan_hours
    noisers: AllowedNoisers = Policy.noisers
    budget_counts: CountedPrices = Policy.budget_counts
    overlap: Flag = Policy.overlap
    former: FormerSections = ()


def load_policy(path: Path) -> Policy:
    """Read and check a policy file. A missing entry, except for a pinned key, has the default of `Policy`.

    Raises:
        PolicyMissing. ConfigInvalid: the file is not TOML, has a missing, invalid or unknown entry, or an unreadable key.
    """
    try:
        entries = checked(PolicyEntries, toml_entries(path), path)
    except FileNotFoundError:
        raise PolicyMissing(str(path)) from None
    return Policy(**(dict(entries) | {"former": former_keys_of(entries.former)}))


def _list(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
