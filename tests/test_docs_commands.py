"""Commands that the documentation tells to type are understood as they stand; a synopsis names options that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from optlab.cli import cli

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(?:sh|text)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
OPERATORS = {">", "|", "&", "&&", ";"}  # of the shell: what follows is another program's


def commands():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if "_build" not in path.parts:
            for block in FENCE.findall(path.read_text(encoding="utf-8")):
                for line in block.replace("\\\n", " ").splitlines():
                    if line.removeprefix("$ ").startswith("optlab "):
                        yield pytest.param(line.removeprefix("$ "), id=f"{path.name}: {line[:60]}")


def resolved(words):
    """The command behind the first words, and the rest of them."""
    context, command = click.Context(cli, info_name="optlab", obj={}), cli
    while isinstance(command, click.Group):
        _, command, words = command.resolve_command(context, words)
    return context, command, words


@pytest.mark.parametrize("line", list(commands()))
def test_a_command_is_understood(line):
    if "[" in line:  # a synopsis
        for part in re.split(r"\s{2,}(?=optlab )", line):
            name = part.split()[1].strip("[]")
            known = {option for each in (cli.commands[name], *getattr(cli.commands[name], "commands", {}).values())
                     for parameter in each.params for option in parameter.opts}  # fmt: skip
            assert set(re.findall(r"--[a-z-]+", part)) <= known
        return
    words = shlex.split(line, comments=True)[1:]
    end = next((i for i, word in enumerate(words) if word in OPERATORS), len(words))
    try:
        context, command, rest = resolved(words[:end])
        command.make_context(command.name, rest, parent=context)
    except click.exceptions.Exit:  # --help
        pass
