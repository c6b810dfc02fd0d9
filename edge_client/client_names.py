"""The stable names of a site's clients: what its ledger calls them.

A name is the hash of the canonical text of the client's id, so the number 7 in one file and the text "7" in another are one
client. "007" is another one.
"""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.compute as pc


def client_names(identities: pa.Array) -> list[bytes]:
    """SHA-256 of each identity's canonical text: of the client id, or of site and client id.

    Args:
        identities: text or whole numbers; or {site, client} of them.
    """
    if pa.types.is_struct(identities.type):
        sites, clients = (_texts(identities.field(name)) for name in ("site", "client"))
        texts = [f"{len(site)} {site} {client}" for site, client in zip(sites, clients, strict=True)]
    else:
        texts = _texts(identities)
    return [hashlib.sha256(b"covey-1 client " + text.encode()).digest() for text in texts]


def _texts(values: pa.Array) -> list[str]:
    found: list[str] = pc.cast(values, pa.string()).to_pylist()
    return found
