"""The command line. Commands import what they need when they run, so that ``--help`` answers at once."""

import os
import sys
import time
from contextlib import suppress
from typing import Any

import click

import optlab
from optlab import streams
from optlab.cli.basin import basin
from optlab.cli.bench import bench
from optlab.cli.common import tell_people
from optlab.cli.convert import convert
from optlab.cli.data import data
from optlab.cli.doctor import doctor
from optlab.cli.evaluate import evaluate
from optlab.cli.gallery import gallery
from optlab.cli.lists import rules, surfaces
from optlab.cli.lr_find import lr_find
from optlab.cli.race import race
from optlab.cli.report import report
from optlab.cli.sweep import sweep
from optlab.cli.train import train
from optlab.errors import DataError, OptlabError, SealError

DONE, BUG, USAGE, DATA, DISK, SEALED, INTERRUPTED = 0, 1, 2, 3, 5, 7, 130

CODES: dict[type[Exception], int] = {DataError: DATA, SealError: SEALED, OSError: DISK}  # first match; else USAGE


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(optlab.__version__, prog_name="optlab")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """An optimization laboratory: race update rules, train small networks, look inside every step, measure.

    Start with: optlab gallery, or optlab train digits, or
    optlab race beale sgd momentum adam --lr 0.01 --html beale.html
    """
    context.obj = {"began": time.perf_counter()}


@cli.result_callback()
@click.pass_context
def finish(context: click.Context, code: int | None, debug: bool) -> int | None:
    """After a command with ``-v``: where its time went."""
    if context.obj.get("verbose"):
        from optlab_kernels.cache import counts

        seconds = time.perf_counter() - context.obj["began"]
        loaded, compiled = counts["loaded"], counts["compiled"]
        tell_people(f"{seconds:.2f} s; {compiled} functions compiled, {loaded} loaded from the cache")
    return code


COMMANDS = (
    race,
    basin,
    gallery,
    train,
    lr_find,
    evaluate,
    sweep,
    report,
    convert,
    rules,
    surfaces,
    data,
    bench,
    doctor,
)
for command in COMMANDS:
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code; a user's mistake never shows a traceback."""
    streams.attach()
    sys.exit(_code(arguments))


def _code(arguments: list[str] | None) -> int:
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        result: Any = cli.main(arguments, prog_name="optlab", standalone_mode=False)
        with suppress(AttributeError):  # an editor's own stream
            sys.stdout.flush()
        return result if isinstance(result, int) else DONE
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        with suppress(AttributeError, OSError, ValueError):  # nobody reads it
            error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        tell_people("optlab: interrupted")
        return INTERRUPTED
    except SystemExit as stop:
        # So click leaves when stdout is a pipe whose reader has gone, having silenced it; a training that was ended by
        # SIGTERM or SIGHUP has a code of its own.
        piped = "PacifyFlush" in type(sys.stdout).__name__
        return DONE if piped else stop.code if isinstance(stop.code, int) else BUG
    except BrokenPipeError:
        # The reader has had enough (`optlab rules | head`): files are written, so this is no failure. The interpreter
        # flushes stdout once more on its way out, which must not complain either.
        with suppress(AttributeError, OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (OptlabError, OSError) as error:
        if debug:
            raise
        tell_people(f"optlab: {error}")
        return next((code for kind, code in CODES.items() if isinstance(error, kind)), USAGE)
    except Exception as error:
        if debug:
            raise
        tell_people(f"optlab: a bug: {type(error).__name__}: {error}\nShow it with: optlab --debug ...")
        return BUG
