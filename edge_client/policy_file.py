"""`policy.toml`: a site's policy as its owner writes it. Strict: an unknown key is an error, so that no typo goes unnoticed."""

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
    AllowedParticipation,
    AllowedProtection,
    AllowedReportPer,
    AllowedValidity,
    MicroRho,
    allowed_text,
    bytes_of_text,
)
from federation.errors import KeyFileError
from federation.keys import public_from_line, public_line
from federation.parties import PublicKeys
from federation.rho import rho_text

from .errors import PolicyMissing
from .policy import PIN, Policy

_PINNED: Final = re.compile(r"[a-z][a-z0-9_]*@[0-9a-f]{64}", re.ASCII)

_TEXT: Final = """\
# What the sites that point to this file take part in. No plan can change it; `covey policy check PLAN` shows the answer.

# Pinned keys: plans of another coordinator, or for other aggregators, are refused.
coordinator = {coordinator}
leader = {leader}
helper = {helper}

views = {views}  # names that may be collected: * is any text, ? one letter
columns = {columns}  # of the events that features and `where` may read; "*" is any
join_keys = {join_keys}  # columns by which a view may split its counts; "*" is any
# A name says nothing of what a view reads. `covey policy check PLAN` shows it; these allow one definition, or some columns only:
# views = ["dest_delay@9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
# columns = ["arr_delay"]
# join_keys = ["dest"]
max_rho_per_day = {max_rho_per_day}  # what one client-day may cost, over all views
min_k = {min_k}  # a pane opens at so many clients or more
time_columns = {time_columns}  # that a view may read the time of events from, beside the site's own; each is charged separately
max_answer_mib = {max_answer_mib}  # how large an answer may become where a plan asks all clients for all panes
participation = {participation}  # "all", "active" or "any": the kind of plans that are taken part in
protection = {protection}  # "shares", "he" (encrypted for a key holder; the leader alone counts the clients) or "any"
validity = {validity}  # "prio3": only plans whose reports prove that they are within a view's bounds; or "any"
max_plan_hours = {max_plan_hours}  # how long from now the secrets that open a plan's reports may still exist
report_per = {report_per}  # "client": no plan is taken part in that asks for the sum of the site's clients; or "any"

# Under `active`, coordinator, leader and helper see how many clients of a site had events in a pane.
allow_activity_visible = {allow_activity_visible}
# For tests and labs only: exact sums, no privacy.
allow_noise_off = {allow_noise_off}
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
        min_k=policy.min_k,
        participation=_quoted(allowed_text(policy.participation)),
        protection=_quoted(allowed_text(policy.protection)),
        validity=_quoted(allowed_text(policy.validity)),
        time_columns=_list(policy.time_columns),
        max_answer_mib=policy.max_answer_mib,
        report_per=_quoted(allowed_text(policy.report_per)),
        max_plan_hours=policy.max_plan_hours,
        allow_activity_visible=str(policy.allow_activity_visible).lower(),
        allow_noise_off=str(policy.allow_noise_off).lower(),
    )


def _coordinator(value: object) -> VerifyKey:
    try:
        return VerifyKey(bytes_of_text(value))
    except (ValueError, CryptoError) as error:
        raise ValueError(f"no public key ({error}); covey.toml has it, as `sign` of [coordinator]") from None


def _aggregator(value: object, info: ValidationInfo) -> VerifyKey:
    """The key of the line of the role that the field is named after."""
    role = "leader" if info.field_name == "leader" else "helper"
    try:
        found, keys = public_from_line(f"{value}\n" if isinstance(value, str) else "", role)
    except KeyFileError as error:
        raise ValueError(str(error)) from None
    if found != role:
        raise ValueError(f"the line holds the keys of {found}, not those of {role}")
    return keys.sign


def _views(views: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns and pins. A pin with a mistake would allow nothing, or be read as a pattern."""
    for entry in views:
        if PIN in entry and _PINNED.fullmatch(entry) is None:
            raise ValueError(
                f"{entry[:120]!r} is no NAME@HASH with 64 hexadecimal digits, the hash of the view's definition"
            )
    return views


_Line = Annotated[VerifyKey, PlainValidator(_aggregator), Field(examples=['"…"'])]


class PolicyEntries(ConfigModel):
    """What stands in `policy.toml`: the fields of `Policy`, of which only the pinned keys must be given."""

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


def load_policy(path: Path) -> Policy:
    """Read and check a policy file. What it leaves out, besides the pinned keys, is as strict as `Policy`'s defaults.

    Raises:
        PolicyMissing. ConfigInvalid: not TOML, a missing, invalid or unknown entry, or a key that cannot be read.
    """
    try:
        entries = checked(PolicyEntries, toml_entries(path), path)
    except FileNotFoundError:
        raise PolicyMissing(str(path)) from None
    return Policy(**dict(entries))


def _list(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
