"""Makes the table in docs/reference-differences.md: ``python -m docs.make_reference_table``.

Any process. The rows are data of the tests, which prove each of them.
"""

from __future__ import annotations

from pathlib import Path

from tests.cli.reference.rows import Row, read_rows

PAGE = Path(__file__).parent / "reference-differences.md"
BEGIN, END = "<!-- rows: made by docs/make_reference_table.py -->", "<!-- end of rows -->"
HEADER = "| | since | here | what differs | proved by |\n|---|---|---|---|---|"
ESCAPES = str.maketrans({"|": "\\|", "<": "&lt;"})


def render_page(page: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_tables()}\n{END}{after}"


def render_tables() -> str:
    """A table for each section of the rows."""
    rows = read_rows()
    lines = []
    for section in dict.fromkeys(row.section for row in rows):
        lines += ["", f"### {section}", "", HEADER]
        lines += [_render(row) for row in rows if row.section == section]
    return "\n".join([*lines, ""])


def _render(row: Row) -> str:
    cells = [f"`{row.item}`", row.since, row.verdict, row.note.translate(ESCAPES), f"`{row.test}`"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(render_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
