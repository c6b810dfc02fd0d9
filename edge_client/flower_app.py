"""A simulated site as a Flower ClientApp. It takes the records of a message and returns the records of the answer.

A real site is not a Flower app: see `fleet_client`. Here `sys.exit` would end other simulated sites too.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Final

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from .plan_messages import Protecting, answer_message, honestly
from .site_config import SiteConfig, load_site

SITES_VARIABLE: Final = "COVEY_SITES"
"""Environment variable: the folder with one configuration file per site. It holds paths and no secret."""


def client_app(protecting: Protecting = honestly) -> ClientApp:
    """Make a ClientApp that answers plans. `protecting` is `honestly`, except in simulations of sites that lie."""
    made = ClientApp()
    made.query()(partial(collect, protecting=protecting))
    return made


def collect(message: Message, context: Context, protecting: Protecting = honestly) -> Message:
    """Answer one plan."""

    def configuration() -> SiteConfig:
        return load_site(Path(os.environ[SITES_VARIABLE]), context.node_config)

    answer = answer_message(message.content, configuration, protecting)
    return Message(answer.to_records(), reply_to=message)


app = client_app()
