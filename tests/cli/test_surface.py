"""Every verb and flag, as a golden file: what scripts may rely on changes knowingly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from sparkscore.cli.generic import GENERIC_NAMES
from sparkscore.cli.main import app
from tests.cli.conftest import REPOSITORY, RunCli

GOLDEN = REPOSITORY / "tests" / "golden" / "cli" / "surface.txt"


def iter_commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(None):
        found = group.get_command(None, name)
        if hasattr(found, "commands"):
            yield from iter_commands(found, (*words, name))
        else:
            yield " ".join((*words, name)), found


ROOT: Any = typer.main.get_command(app)
COMMANDS = dict(iter_commands(ROOT))


def render_flag(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"  {param.name.upper()}"
    names = "/".join(sorted(param.opts, key=lambda name: (not name.startswith("--"), name)))
    notes = [
        "required" if param.required else "",
        "switch" if param.is_flag else "",
        "repeats" if param.multiple else "",
    ]
    return f"  {names} {' '.join(note for note in notes if note)}".rstrip()


def render_surface() -> str:
    show = COMMANDS["job show"]
    lines = ["(every command)"]
    lines += sorted(render_flag(param) for param in show.params if param.name in GENERIC_NAMES)
    for words, found in COMMANDS.items():
        lines.append(words)
        generic = {param.name for param in found.params} & GENERIC_NAMES
        missing = sorted(GENERIC_NAMES - generic)
        lines += [f"  (without {', '.join(missing)})"] if missing else []
        lines += sorted(render_flag(param) for param in found.params if param.name not in generic)
    return "\n".join(lines) + "\n"


def test_surface__is_the_golden_one() -> None:
    surface = render_surface()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(surface, encoding="utf-8")
    assert surface == GOLDEN.read_text(encoding="utf-8"), "UPDATE_GOLDEN=1 rewrites it"


@pytest.mark.parametrize("words", COMMANDS)
def test_help__of_every_command(run_cli: RunCli, words: str) -> None:
    answer = run_cli(*words.split(), "--help")
    assert (answer.exit_code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: sparkscore {words}")
    assert run_cli(*words.split(), "-h").out == answer.out


def test_flags__have_one_meaning_per_command() -> None:
    for words, found in COMMANDS.items():
        names = [name for param in found.params for name in param.opts]
        assert len(names) == len(set(names)), words


def test_alias__is_the_same() -> None:
    data = {words.removeprefix("data ") for words in COMMANDS if words.startswith("data ")}
    dataset = {words.removeprefix("dataset ") for words in COMMANDS if words.startswith("dataset ")}
    assert data == dataset
    assert data
