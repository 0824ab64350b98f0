"""The table of what targets can do, in docs/compile.md."""

from __future__ import annotations

import os
from pathlib import Path

from sparkscore.targets.base import Capability
from sparkscore.targets.registry import TARGETS

PAGE = Path(__file__).parent.parent.parent / "docs" / "compile.md"
BEGIN = "<!-- capabilities: made by tests/targets/test_capabilities.py with UPDATE_GOLDEN=1 -->\n"
END = "<!-- end of capabilities -->"


def render_capabilities() -> str:
    names = [target.name for target in TARGETS]
    lines = [f"| to | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for capability in Capability:
        cells = ["yes" if capability in target.capabilities else "-" for target in TARGETS]
        lines.append(f"| {capability.value} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_capabilities__stand_in_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    table, _, after = rest.partition(END)
    if os.environ.get("UPDATE_GOLDEN"):
        table = render_capabilities()
        PAGE.write_text(f"{before}{BEGIN}{table}{END}{after}", encoding="utf-8")
    assert table == render_capabilities()
