"""README's commands do what README shows: each is run by bash in a new folder, in their order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PYTHON_API = ROOT / "docs" / "python-api.md"

EXIT_CODES = {"sparkscore job stream --name strict": 4}
"""Commands that are to end with another code than 0."""

ELSEWHERE = {
    "sparkscore batch-deployment run --file deployment.yml --input texts --compute "
    "spark://HOST:7077": "spark/test_cluster.py::test_cluster__gives_the_same_bytes_as_local",
    "compiled/submit.sh spark://HOST:7077": (
        "spark/test_cluster.py::test_cluster__compiled_folder_needs_one_command"
    ),
    "sparkscore token create --role contributor --name clerk": (
        "rest/test_serve.py::test_serve__takes_tokens_of_the_command_line_at_once"
    ),
    "sparkscore serve": "rest/test_serve.py::test_serve__answers_and_stops_on_sigterm",
    "sparkscore studio": (
        "studio/test_login_links.py::test_studio__starts_a_server_and_prints_a_link"
    ),
}
"""Commands that need a Spark cluster or run until they are stopped, and the tests that do so."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Step(NamedTuple):
    """A line of bash, and what the page shows as its output (None: it shows nothing)."""

    line: int
    text: str
    command: str
    shown: list[str] | None


class Done(NamedTuple):
    """What came of a step."""

    step: Step
    exit_code: int
    output: str


def find_section(page: Path, title: str) -> tuple[int, str]:
    """The section's text and the number of its first line."""
    text = page.read_text(encoding="utf-8")
    start = text.index(f"## {title}\n")
    end = text.find("\n## ", start)
    return text.count("\n", 0, start) + 1, text[start : None if end < 0 else end]


def iter_steps(page: Path, title: str) -> Iterator[Step]:
    """Files are written, commands run; a block of Python without a file name is run too."""
    first_line, section = find_section(page, title)
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        line = first_line + section.count("\n", 0, match.start(2))
        language, text = match[1], match[2]
        name = re.match(r"# (\S+\.\w+)\n", text)
        if not language:
            yield from iter_commands(text, line=line)
        elif name is not None:
            yield Step(line, f"write {name[1]}", f"cat > {name[1]} <<'@@'\n{text}@@", None)
        elif language == "python":
            yield Step(line, f"python at line {line}", f"python - <<'@@'\n{text}@@", None)


def iter_commands(text: str, *, line: int) -> Iterator[Step]:
    """In a block with ``$ `` what follows a command is its output; else each line is a command."""
    lines = text.replace("\\\n", "").splitlines()
    has_prompts = any(part.startswith("$ ") for part in lines)
    starts = [at for at, part in enumerate(lines) if part.startswith("$ ") or not has_prompts]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        command = lines[start].removeprefix("$ ")
        shown = lines[start + 1 : end] if has_prompts else None
        yield Step(line, " ".join(command.partition("  #")[0].split()), command, shown)


def run_steps(steps: list[Step], folder: Path) -> list[Done]:
    """Run them in one shell, with a home and a configuration of its own."""
    script = [
        f"{step.command}\nprintf '\\n@@ %s\\n' $?" for step in steps if step.text not in ELSEWHERE
    ]
    file = folder.parent / "steps.sh"
    file.write_text("\n".join(["exec 2>&1", *script]), encoding="utf-8")
    done = subprocess.run(
        ["bash", file],
        cwd=folder,
        env=make_environment(folder.parent),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=600,
        check=False,
    )
    parts = re.split(r"\n@@ (\d+)\n", done.stdout.decode("utf-8", "replace"))
    ran = [step for step in steps if step.text not in ELSEWHERE]
    assert len(parts) == 2 * len(ran) + 1, parts[-1]
    return [
        Done(step, int(code), output)
        for step, output, code in zip(ran, parts[::2], parts[1::2], strict=False)
    ]


def make_environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SPARKSCORE_")}
    return {
        **kept,
        "HOME": str(home),
        "SPARKSCORE_CONFIG_DIR": str(home / "config"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }


def is_as_shown(output: str, shown: list[str]) -> bool:
    """``...`` stands for anything, alone on its line for any lines; seconds and rates vary."""
    patterns = []
    for line in shown:
        if line == "...":
            patterns.append(r"(?:.*\n)*?")
            continue
        text = re.escape(line).replace(re.escape("..."), ".*")
        patterns.append(re.sub(r"\d+\\\.\d+(?=\\ inputs/s)", r"[\\d.,]+", text) + r" *\n")
    return re.fullmatch("".join(patterns), output.rstrip("\n") + "\n" * bool(output)) is not None


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> list[Done]:
    """What came of README's quick start and of the other ways to run it."""
    folder = tmp_path_factory.mktemp("readme") / "new"
    folder.mkdir()
    titles = ("Quick start", "Other ways to run it")
    return run_steps([step for title in titles for step in iter_steps(README, title)], folder)


def test_readme__commands_end_as_they_should(readme: list[Done]) -> None:
    wrong = [done for done in readme if done.exit_code != EXIT_CODES.get(done.step.text, 0)]
    assert wrong == []
    assert sum(done.step.text.startswith("sparkscore ") for done in readme) > 20


def test_readme__shows_what_commands_print(readme: list[Done]) -> None:
    shown = [done for done in readme if done.step.shown is not None]
    wrong = [done for done in shown if not is_as_shown(done.output, done.step.shown or [])]
    assert wrong == []
    assert any("inputs       3: 2 succeeded, 1 failed" in done.output for done in shown)


def test_readme__notebook_scores_in_its_own_session(readme: list[Done]) -> None:
    (notebook,) = [done for done in readme if done.step.text.startswith("python at")]
    assert "Completed {'total': 3, 'succeeded': 2, 'failed': 1}" in notebook.output or (
        re.search(r"Completed .*total=3, succeeded=2, failed=1", notebook.output)
    )


def test_readme__every_command_is_run_somewhere(readme: list[Done]) -> None:
    """Those of the examples are those of the demo, see tests/examples."""
    ran = {done.step.text for done in readme}
    text = README.read_text(encoding="utf-8")
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    named = {
        step.text
        for title in titles
        if title != "Real images and real tables"
        for step in iter_steps(README, title)
        if step.text.startswith(("sparkscore ", "compiled/"))
    }
    assert named - ran == set(ELSEWHERE)
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_python_api__does_what_its_page_shows(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    files = [
        step
        for step in iter_steps(README, "Quick start")
        if not step.command.startswith(("sparkscore ", "cat ", "cut "))
        or step.command.startswith("cat > ")
    ]
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PYTHON_API.read_text(encoding="utf-8"), re.M | re.S
    )
    whole = Step(0, "all blocks", f"python - <<'@@'\n{''.join(blocks)}@@", None)
    *_, last = run_steps([*files, whole], folder)
    assert last.exit_code == 0, last.output
    for line in re.findall(r"^print\(.*\)  # (.+)$", "".join(blocks), re.MULTILINE):
        assert line in last.output


def test_shown__output_is_compared() -> None:
    assert is_as_shown("a\nb 1.5 inputs/s\nc  \n", ["a", "b 2.75 inputs/s", "c"])
    assert is_as_shown("a\nb\nc\n", ["...", "c"])
    assert is_as_shown("output  /x/y.csv\n", ["output  .../y.csv"])
    assert is_as_shown("", [])
    assert not is_as_shown("a\nb\n", ["a"])
    assert not is_as_shown("", ["a"])
    assert not is_as_shown("a.txt,3\n", ["a.txt,4"])
    assert shlex.split(next(iter_commands("$ a \\\n  b\nc\n", line=1)).command) == ["a", "b"]
