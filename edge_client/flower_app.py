"""The site behind Flower: a ClientApp that carries a plan in and an answer out, and does nothing else.

The message holds the signed plan; the reply holds a code and, if it is OK, the sealed batches. Whatever goes wrong is a
code: an exception would travel to the server with its traceback, and `sys.exit` would take other sites along.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from featurestore.errors import FeatureStoreError

from .errors import EdgeError
from .events import make_events, read_events
from .site import Refusal, RefusalCode, answer, check_plan
from .site_config import SiteConfig, load_site

SITES_VARIABLE: Final = "COVEY_SITES"
"""Environment variable: the folder with one site configuration a site (paths only, never a secret)."""

app = ClientApp()
_log = logging.getLogger("covey.site")


@app.query()
def collect(message: Message, context: Context) -> Message:
    """Answer one plan."""
    code, site, batches = "", "", list[bytes]()
    try:
        config = load_site(Path(os.environ[SITES_VARIABLE]), context.node_config)
        site = config.settings.site
        result = _answer(_plan_of(message), config)
        code, batches = ("OK", result) if isinstance(result, list) else (str(result.code), [])
    except Exception:  # noqa: BLE001 - nothing may travel to the server but a code; the site's own log has the rest
        _log.exception("the site could not answer")
        code = RefusalCode.SITE_FAILED
    records = {f"{i:06d}": Array(np.frombuffer(batch, np.uint8)) for i, batch in enumerate(batches)}
    content = RecordDict({"answer": ConfigRecord({"code": str(code), "site": site}), "batches": ArrayRecord(records)})
    return Message(content, reply_to=message)


def _plan_of(message: Message) -> bytes:
    """The signed plan in a message; no bytes, which no coordinator has signed, where there is none."""
    signed = message.content.get("plan", {}).get("signed")
    return signed if isinstance(signed, bytes) else b""


def _answer(signed_plan: bytes, config: SiteConfig) -> list[bytes] | Refusal:
    plan = check_plan(signed_plan, config.settings, time.time_ns() // 1_000)
    if isinstance(plan, Refusal):
        return plan
    try:
        views = [planned.view for planned in plan.views]
        columns = config.client_column, config.time_column
        table = read_events(config.events, views, *columns, None, allow_empty=True)
        events = make_events(table, *columns, strict_times=False)
        return [batch.to_bytes() for batch in answer(plan, events, config.settings, os.urandom)]
    except (EdgeError, FeatureStoreError):
        _log.exception("the events do not fit the plan")
        return Refusal(RefusalCode.SCHEMA)
