"""The `covey` command. stdout has data, stderr has messages; an expected error is one line with the mend and an exit code."""

from __future__ import annotations

import gc
import sys
import traceback

import click
import typer
from rich.console import Console

from base.errors import DONE, FAILURE, INTERRUPTED, exit_code
from base.extras import named_missing
from base.start_up import GC_THRESHOLD, end_quickly, hide_pandas, only_tls_1_3
from covey import __version__

from . import (
    apply,
    collect,
    console,
    consumers,
    demo,
    deploy,
    diff,
    doctor,
    explain,
    get,
    history,
    init,
    interrupt,
    join,
    keys,
    lab,
    ledger,
    lineage,
    logs,
    models,
    monitor,
    policy,
    predict,
    release,
    run,
    serve,
    source,
    start,
    status,
    store,
    train,
    up,
    views,
    watch,
)
from .help_texts import command_tree
from .mends import line_of

app = typer.Typer(
    name="covey",
    help="A federated feature store: events stay at the edge, features arrive as noised sums with their error bars.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_DEBUG = False
_WITHOUT_PANDAS = (("console",), ("get",), ("history",), ("join",), ("serve",), ("start", "server"), ("watch",))
"""Commands that run no user code and need no pandas, without the options below."""
_RUN_A_FILE = ("--trust-views", "--views")
"""Options with which they do run a file of the user."""


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"covey {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", envvar="COVEY_DEBUG", help="Show the traceback of an error."),
    _version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version."),
) -> None:
    global _DEBUG
    _DEBUG = debug


app.command("demo")(demo.demo)
app.command("init")(init.init)
app.command("run")(run.run)
app.command("collect")(collect.collect)
app.command("up")(up.up)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("logs")(logs.logs)
app.command("down")(up.down)
app.command("monitor")(monitor.monitor)
app.command("explain")(explain.explain)
app.command("diff")(diff.diff)
app.command("apply")(apply.apply)
app.command("get")(get.get)
app.command("history")(history.history)
app.command("join")(join.join)
app.command("serve")(serve.serve)
app.command("console")(console.console)
app.command("watch")(watch.watch)
app.command("views")(views.views)
app.command("lineage")(lineage.lineage)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("deploy")(deploy.deploy)
app.add_typer(consumers.app, name="consumers")
app.add_typer(keys.app, name="keys")
app.add_typer(lab.app, name="lab")
app.add_typer(ledger.app, name="ledger")
app.add_typer(models.app, name="models")
app.add_typer(release.app, name="release")
app.add_typer(policy.app, name="policy")
app.add_typer(source.app, name="source")
app.add_typer(start.app, name="start")
app.add_typer(store.app, name="store")


def main() -> None:
    """Entry point: run the command, turn expected errors into one line and an exit code."""
    interrupt.install()
    gc.set_threshold(GC_THRESHOLD)
    only_tls_1_3()
    if _needs_no_pandas(sys.argv[1:]):
        hide_pandas()
    code = call(sys.argv[1:])
    end_quickly()
    sys.exit(code)


def _needs_no_pandas(arguments: list[str]) -> bool:
    runs_a_file = any(one.partition("=")[0] in _RUN_A_FILE for one in arguments)
    return not runs_a_file and any(tuple(arguments[: len(words)]) == words for words in _WITHOUT_PANDAS)


def call(arguments: list[str]) -> int:
    """Run one command line; returns its exit code."""
    talk = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
    try:
        result = command_tree(app, arguments)(args=arguments, prog_name="covey", standalone_mode=False)
        code = result if isinstance(result, int) else DONE
        if code == INTERRUPTED:  # typer ≥ 0.20 makes the exit code of a KeyboardInterrupt
            talk.print(_interrupted(arguments), style="yellow")
        return code
    except (KeyboardInterrupt, click.exceptions.Abort):
        talk.print(_interrupted(arguments), style="yellow")
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.exceptions.ClickException as error:
        context = getattr(error, "ctx", None)
        command = "covey" if context is None else context.command_path
        talk.print(f"error: {error.format_message().rstrip('.')}; see `{command} --help`", style="red")
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last handler: expected errors become one line, defects say so
        known = named_missing(error, "this command")
        expected = exit_code(known)
        if _DEBUG or expected is None:
            if arguments[:1] in (["start"], ["collect"]):  # its stderr is a log, which shows no text of a foreign error
                from base.logs import error_text

                talk.print(error_text(error))
            else:
                traceback.print_exc()
        if expected is None:
            talk.print("this is a defect of covey; please report the lines above", style="bold red")
            return FAILURE
        talk.print(f"error: {line_of(known)}", style="red")
        return expected


def _interrupted(arguments: list[str]) -> str:
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command == "run":
        return "interrupted; published releases are kept. Run the same command again: it continues, or names --resume"
    if command == "deploy":
        return "interrupted; the steps that are done are kept, and the same command goes on with the next one"
    if command == "collect" or arguments[:2] == ["start", "coordinator"]:
        return "interrupted; an unfinished plan is kept, and --resume continues it"
    return "interrupted"
