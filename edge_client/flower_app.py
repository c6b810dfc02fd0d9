"""The site behind Flower: a ClientApp that carries a plan in and an answer out, and does nothing else.

The message holds the signed plan (and under `he` its encryption keys); the reply holds a code and, if it is OK, the
sealed batches. Whatever goes wrong is a code: an exception would travel to the server with its traceback, and `sys.exit`
would take other sites along.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from federation.protocol import Protect, protect
from federation.refusal_codes import RefusalCode

from .answering import answer_plan
from .site_config import load_site

SITES_VARIABLE: Final = "COVEY_SITES"
"""Environment variable: the folder with one site configuration a site (paths only, never a secret)."""

_log = logging.getLogger("covey.site")

Protecting = Callable[[str], Protect]
"""(site id) → what that site does with the reports of one answer before they are sealed."""


def honestly(_site: str) -> Protect:
    """As the plan says."""
    return protect


def client_app(protecting: Protecting = honestly) -> ClientApp:
    """A ClientApp that answers plans; `protecting` is `honestly`, except in simulations of sites that lie."""
    made = ClientApp()
    made.query()(partial(collect, protecting=protecting))
    return made


def collect(message: Message, context: Context, protecting: Protecting = honestly) -> Message:
    """Answer one plan."""
    code, site, batches = "", "", list[bytes]()
    try:
        config = load_site(Path(os.environ[SITES_VARIABLE]), context.node_config)
        site = config.settings.site
        told = _told(message, "signed"), _told(message, "encryption_keys")
        result = answer_plan(*told, config, protecting(site))
        code, batches = ("OK", result) if isinstance(result, list) else (str(result.code), [])
    except Exception:  # noqa: BLE001 - nothing may travel to the server but a code; the site's own log has the rest
        _log.exception("the site could not answer")
        code = RefusalCode.SITE_FAILED
    records = {f"{i:06d}": Array(np.frombuffer(batch, np.uint8)) for i, batch in enumerate(batches)}
    content = RecordDict({"answer": ConfigRecord({"code": str(code), "site": site}), "batches": ArrayRecord(records)})
    return Message(content, reply_to=message)


def _told(message: Message, what: str) -> bytes:
    """The signed plan, or its encryption keys, in a message; no bytes, which nobody has signed, where there are none."""
    told = message.content.get("plan", {}).get(what)
    return told if isinstance(told, bytes) else b""


app = client_app()
