"""`covey serve`."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Annotated, Final

import typer

from base.extras import require_extra
from base.logs import LogFormat

from .listening import AddressOptions, TlsOptions, listening
from .listening_options import (
    AllowedHostOption,
    BehindProxyOption,
    ClientAuthorityOption,
    ConnectionsOption,
    HostOption,
    KeysOption,
    PortOption,
    RateOption,
    RequestsOption,
    TlsCertificateOption,
    TlsKeyOption,
    TlsOption,
)
from .log_option import LogFormatOption
from .store_option import store_directory

if TYPE_CHECKING:
    from featurestore.server.settings import ServerSettings
    from training.serving.worker import ModelsToServe

ALL: Final = "all"
"""The value of --models for all registered models, also later ones."""

_log = logging.getLogger("covey.server")


def serve(
    store: Annotated[
        Path | None,
        typer.Option("--store", callback=store_directory, help="The store's directory. Only --stats needs none."),
    ] = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 6566,
    allowed_host: AllowedHostOption = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="The number of processes that answer requests.")] = 1,
    keys: KeysOption = None,
    rate: RateOption = None,
    requests: RequestsOption = None,
    total_rate: Annotated[
        int | None,
        typer.Option(min=1, metavar="ROWS", help="Rows a second of all readers together. Default: no limit."),
    ] = None,
    total_requests: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Requests a second of all readers together. Default: no limit."),
    ] = None,
    connections: ConnectionsOption = 1_000,
    tls: TlsOption = False,
    tls_certificate: TlsCertificateOption = None,
    tls_key: TlsKeyOption = None,
    client_authority: ClientAuthorityOption = None,
    behind_proxy: BehindProxyOption = False,
    views: Annotated[
        Path | None,
        typer.Option("--views", metavar="VIEWS.py", help="A file with on-demand views, which are served as well."),
    ] = None,
    grpc_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Also answer gRPC, on this port; 0 takes a free one.")
    ] = None,
    models: Annotated[
        str | None,
        typer.Option("--models", metavar="NAME,…", help="Also serve these models, or all; see docs/model-serving.md."),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load models that can run code: those that were not made by covey train.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="Where models run: cpu, cuda or cuda:N.")] = "cpu",
    compile_models: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Compile networks if the machine has a C++ compiler.")
    ] = True,
    stats: Annotated[
        str | None,
        typer.Option("--stats", metavar="URL", help="Print what the models of a running server have done, and end."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print --stats as JSON.")] = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Serve the newest releases over HTTP in Feast's wire format, and over gRPC; new ones appear without a restart.

    With --models, models answer beside their features: POST /predict/NAME, and the Open Inference Protocol.
    """
    if stats is not None:
        _print_statistics(stats, as_json=as_json)
        return
    _require_companion({"--json": as_json}, "--stats")
    if models is None:
        of_models = {"--trust": trust, "--device": device != "cpu", "--no-compile": not compile_models}
        _require_companion(of_models, "--models")
    require_extra("server", "the feature server")
    store = _given(store)
    from contextlib import ExitStack

    from featurestore.define.views_file import load_declared
    from featurestore.server.listen import address_of, hold_port
    from featurestore.server.settings import Endpoint, ServerSettings
    from featurestore.server.supervisor import run_server
    from featurestore.server.throttle import Limits, ServerLimits
    from featurestore.store import Store

    on_demand = () if views is None else load_declared(views, need_views=False).on_demand
    with Store.open(store, on_demand=on_demand) as opened:
        names = [view.name for view in opened.views()]
        served, problem = opened.blocks.snapshot.views, opened.blocks.problem
    without = [name for name in names if name not in served]
    if without:
        why = (
            "the next publication into this store adds them"
            if problem is None
            else f"{problem}; run `covey store rebuild-online`"
        )
        _log.warning("not served yet: %s; %s", ", ".join(without), why)
    wanted = None if models is None else _models_to_serve(store, views, models, trust, device, compile_models)
    given_tls = TlsOptions(tls, tls_certificate, tls_key, client_authority, behind_proxy)
    address = AddressOptions(host, port, allowed_host or (), keys, given_tls)
    with listening(address, store) as server, ExitStack() as sockets:
        grpc = None if grpc_port is None else address_of(sockets.enter_context(hold_port(host, grpc_port)))
        _log.info("serving %d view(s) at %s", len(names) - len(without), server.url)
        _log.info(
            "POST %s/get-online-features (Feast's format); GET %s/health, /metrics, /docs", server.url, server.url
        )
        if grpc is not None:
            scheme = "grpc" if server.tls is None else "grpcs"
            _log.info("%s://%s answers GetFeatures and Subscribe, and remote stores", scheme, grpc)
        _log.info("%d worker(s); readers need %s", workers, server.readers)
        limits = ServerLimits(Limits(rate, requests), Limits(total_rate, total_requests), connections)
        endpoint = Endpoint(server.hosts.address, server.hosts.names, grpc, server.tls)
        settings = ServerSettings(store, server.keys, limits, workers, endpoint, views)
        if wanted is not None:
            _log.info("serving %s", "all models" if wanted.names is None else f"model(s) {', '.join(wanted.names)}")
        run = run_server if wanted is None else _with_models(wanted)
        try:
            run(settings, server.socket, lambda line: _log.warning("%s", line))
        except KeyboardInterrupt:  # SIGINT and SIGTERM end a server normally; they are not failures
            _log.info("stopped")


def _given(store: Path | None) -> Path:
    """Raises UsageError: there is no store."""
    from deployment.errors import UsageError

    if store is None:
        raise UsageError("write --store DIR: the directory of the store that is served")
    return store


def _print_statistics(url: str, *, as_json: bool) -> None:
    from deployment.printing.output import Output
    from training.serving.statistics.remote_statistics import print_statistics, read_statistics

    found = read_statistics(url)
    if as_json:
        typer.echo(json.dumps([one.to_json() for one in found]))
    else:
        print_statistics(found, Output())


def _require_companion(given: Mapping[str, bool], companion: str) -> None:
    """Raises UsageError: an option was given that has no effect without another one."""
    from deployment.errors import UsageError

    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} goes with {companion}")


def _models_to_serve(
    store: Path, views: Path | None, models: str, trust: bool, device: str, compile_models: bool
) -> ModelsToServe:
    """What is asked of the models. Raises UnknownModel, DeviceUnavailable, ConfigInvalid."""
    from featurestore.online.settings import directory_of
    from featurestore.store import Store
    from training.serving.kinds.loading import Loading
    from training.serving.settings import load_serving
    from training.serving.worker import ModelsToServe

    loading = Loading(trust, device, compile_models).checked()
    settings, names = load_serving(directory_of(store)), None
    with Store.open(store) as opened:
        if models != ALL:
            names = tuple(dict.fromkeys(name.strip() for name in models.split(",")))
            for name in names:
                opened.in_force(name)  # an unknown name is a mistake of the command
        unused = settings.models.keys() - (opened.model_names() if names is None else names)
    for name in sorted(unused):
        _log.warning("covey.toml: [serving.%s]: no model %r is served", name, name)
    return ModelsToServe(names, loading, settings, views)


def _with_models(
    wanted: ModelsToServe,
) -> Callable[[ServerSettings, socket, Callable[[str], None]], None]:
    """Runs a server of models as well."""
    from training.serving.worker import run_models

    return lambda settings, listening, say: run_models(settings, wanted, listening, say)
