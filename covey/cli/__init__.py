"""The `covey` command. stdout is data, stderr is talk; an expected error is one line with the mend and an exit code."""

from __future__ import annotations

import signal
import sys
import traceback

import click
import typer
from rich.console import Console

from covey.errors import FAILURE, INTERRUPTED, exit_code

from . import demo, explain, keys, reads, run, serve, start

app = typer.Typer(
    name="covey",
    help="A federated feature store: events stay at the edge, features arrive as noised sums with their error bars.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_DEBUG = False


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", envvar="COVEY_DEBUG", help="Show the traceback of an error."),
) -> None:
    global _DEBUG
    _DEBUG = debug


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("explain")(explain.explain)
app.command("get")(reads.get)
app.command("history")(reads.history)
app.command("join")(reads.join)
app.command("serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.add_typer(start.app, name="start")


def main() -> None:
    """Entry point: run the command, turn expected errors into one line and an exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(call(sys.argv[1:]))


def _interrupt(_number: int, _frame: object) -> None:
    """SIGTERM ends a command as Ctrl-C does: temporary files go, the store stays whole."""
    raise KeyboardInterrupt


def call(arguments: list[str]) -> int:
    """Run one command line; returns its exit code."""
    talk = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        result = app(args=arguments, prog_name="covey", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, click.exceptions.Abort):
        talk.print("interrupted; nothing published is lost, and the same command continues", style="yellow")
        return INTERRUPTED
    except click.exceptions.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last handler: expected errors become one line, defects say so
        code = exit_code(error)
        if _DEBUG or code is None:
            traceback.print_exc()
        if code is None:
            talk.print("this is a defect of covey; please report the lines above", style="bold red")
            return FAILURE
        talk.print(f"error: {error}", style="red", markup=False)
        return code
