"""The options of a command that answers HTTP: where it listens, whom it answers, and how much."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

HostOption: TypeAlias = Annotated[str, typer.Option("--host", help="The address to listen on.")]
PortOption: TypeAlias = Annotated[int, typer.Option("--port", min=0, max=65_535, help="The port; 0 finds a free one.")]
AllowedHostOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Another host name of this server, such as a proxy's. Requests to unknown names are refused (DNS rebinding).",
        show_default=False,
    ),
]
KeysOption: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--keys/--no-keys",
        help="Whether readers need an API key (`covey consumers add`). Default: no on a loopback address, otherwise yes.",
        show_default=False,
    ),
]
RateOption: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, metavar="ROWS", help="Rows a second of a consumer without a limit. Default: no limit."),
]
RequestsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Requests a second of a consumer without a limit. Default: no limit."),
]
ConnectionsOption: TypeAlias = Annotated[
    int, typer.Option(min=1, max=100_000, help="The most open connections, and the most calls over gRPC at a time.")
]
TlsOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--tls",
        help="Use the project's certificate, keys/tls/server.crt. Default: no on a loopback address, otherwise yes.",
    ),
]
TlsCertificateOption: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Another certificate (PEM), with --tls-key.")
]
TlsKeyOption: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The key of --tls-certificate (PEM, EC).")
]
ClientAuthorityOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Serve only clients with a certificate of these authorities (PEM)."),
]
BehindProxyOption: TypeAlias = Annotated[
    bool, typer.Option("--behind-proxy", help="Speak clear text: a proxy in front of the server has TLS.")
]
