"""`covey console`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from base.extras import require_extra
from base.logs import LogFormat

from .browser import opened_in_browser
from .lineage import KEY
from .listening import AddressOptions, TlsOptions, listening
from .listening_options import (
    AllowedHostOption,
    BehindProxyOption,
    ClientAuthorityOption,
    ConnectionsOption,
    HostOption,
    KeysOption,
    PortOption,
    RequestsOption,
    TlsCertificateOption,
    TlsKeyOption,
    TlsOption,
)
from .log_option import LogFormatOption
from .store_option import StoreOption

if TYPE_CHECKING:
    from covey.console.console import EventSource

_VIEWS = "views.py"
_log = logging.getLogger("covey.console")


def console(
    store: StoreOption = Path(),
    views: Annotated[
        Path | None,
        typer.Option(
            "--views", metavar="VIEWS.py", help="The file that the composer edits. Default: the project's views.py."
        ),
    ] = None,
    trust_views: Annotated[
        bool,
        typer.Option("--trust-views", help="Run the views file, as other commands do. Default: it is only parsed."),
    ] = False,
    events: Annotated[
        str | None,
        typer.Option(metavar="FILE|URL", help="Events to collect over, and whose columns the composer offers."),
    ] = None,
    client_column: Annotated[str | None, typer.Option(metavar="NAME", help="With --events: the client's id.")] = None,
    time_column: Annotated[str | None, typer.Option(metavar="NAME", help="With --events: the event's time.")] = None,
    site_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --events: the site's id. Default: one site.")
    ] = None,
    lab: Annotated[
        Path | None, typer.Option("--lab", metavar="DIR", help="A folder with runs of `covey lab run`.")
    ] = None,
    serving: Annotated[
        str | None,
        typer.Option("--serving", metavar="URL", help="A running `covey serve --models`, for its statistics."),
    ] = None,
    openlineage: Annotated[
        str | None,
        typer.Option(metavar="URL", help=f"Send the lineage to a collector of OpenLineage events. Its key: {KEY}."),
    ] = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 6580,
    allowed_host: AllowedHostOption = None,
    keys: KeysOption = None,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="ROWS",
            help="Rows a second of a consumer without a limit, in answers of the feature server alone. Default: no limit.",
        ),
    ] = None,
    requests: RequestsOption = None,
    connections: ConnectionsOption = 1_000,
    tls: TlsOption = False,
    tls_certificate: TlsCertificateOption = None,
    tls_key: TlsKeyOption = None,
    client_authority: ClientAuthorityOption = None,
    behind_proxy: BehindProxyOption = False,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in this machine's browser.")
    ] = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Show a store and its project in a browser: views, features, budgets, releases, fleet, lab and models.

    The printed URL has a token: who opens it may collect and promote. Without it, the page only reads.
    """
    require_extra("console", "the console")
    source = _source(events, client_column, time_column, site_column)
    import os
    from contextlib import nullcontext

    from covey import __version__
    from covey.console.console import ConsoleInputs
    from covey.console.gate import PREFIX
    from covey.console.sessions import new_secret
    from covey.console.worker import ConsoleSettings, require_page, require_store, run_console
    from deployment.errors import UsageError
    from deployment.lineage.emission import Collector, Following
    from deployment.lineage.openlineage import Emitter
    from deployment.project.project import Project
    from featurestore.server.settings import Endpoint, ServerSettings
    from featurestore.server.throttle import NO_LIMITS, Limits, ServerLimits

    if views is not None and not views.is_file():
        raise UsageError(f"no file {views}: --views names the file that the composer edits")
    if lab is not None and not lab.is_dir():
        raise UsageError(f"no folder {lab}: --lab names a folder with runs of `covey lab run`")
    require_page()
    require_store(store, is_project=Project.find(store) is not None)
    found = views if views is not None else store / _VIEWS
    views_file = found.absolute() if views is not None or found.exists() or Project.find(store) is not None else None
    if trust_views and not found.is_file():
        raise UsageError(f"no file {found}: --trust-views runs the views file; save one, or leave the option out")
    following = None
    if openlineage is not None:
        following = Following(Collector.parse(openlineage, os.environ.get(KEY)), Emitter.of(store, __version__))
    token = new_secret(os.urandom)
    given_tls = TlsOptions(tls, tls_certificate, tls_key, client_authority, behind_proxy)
    with listening(AddressOptions(host, port, allowed_host or (), keys, given_tls), store) as server:
        address = f"{server.url}{PREFIX}/"
        shown = address if server.keys else f"{address}#token={token}"
        typer.echo(shown)
        _log.info("serving the console of %s; readers need %s", store, server.readers)
        limits = ServerLimits(Limits(rate, requests), NO_LIMITS, connections)
        endpoint = Endpoint(server.hosts.address, server.hosts.names, None, server.tls)
        settings = ServerSettings(store, server.keys, limits, 1, endpoint, views_file if trust_views else None)
        inputs = ConsoleInputs(views_file, trust_views, source, lab, serving)
        given = ConsoleSettings(inputs, token, server.secure, following)
        try:
            with opened_in_browser(shown, store) if open_browser else nullcontext():
                run_console(settings, given, server.socket)
        except KeyboardInterrupt:  # SIGINT and SIGTERM end a server normally; they are not failures
            _log.info("stopped")


def _source(events: str | None, client: str | None, time: str | None, site: str | None) -> EventSource | None:
    """The events that the console may collect over. Raises UsageError."""
    from deployment.errors import UsageError

    for option, value in (("--client-column", client), ("--time-column", time), ("--site-column", site)):
        if events is None and value is not None:
            raise UsageError(f"{option} goes with --events")
    if events is None:
        return None
    if client is None or time is None:
        raise UsageError("--events goes with --client-column and --time-column")
    from covey.console.console import EventSource

    return EventSource(events, client, time, site)
