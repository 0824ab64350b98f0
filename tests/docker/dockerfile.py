"""The Dockerfile as its instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """A word and what follows it, on one line; flags as ``--from`` stand apart."""

    word: str
    text: str
    flags: dict[str, str]


@dataclass(frozen=True)
class Stage:
    """What is done on ``base``, a stage or an image of others."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


def read_stages(path: Path = DOCKERFILE) -> dict[str, Stage]:
    """The stages by name."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    stages: dict[str, Stage] = {}
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        found = re.fullmatch(r"FROM (\S+) AS (\S+)", line)
        if found:
            base, name = found.groups()
            stages[name] = Stage(name, base, ())
        elif line.strip() and stages:
            last = stages.popitem()[1]
            done = (*last.instructions, _read_instruction(line))
            stages[last.name] = Stage(last.name, last.base, done)
    return stages


def _read_instruction(line: str) -> Instruction:
    word, _, text = line.partition(" ")
    flags = {}
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        name, _, value = flag[2:].partition("=")
        flags[name] = value
    return Instruction(word, text, flags)
