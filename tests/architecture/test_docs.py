"""What documents say holds: YAML loads, commands parse, Python compiles, names exist."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import os
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
import yaml

from docs.make_tables import BEGIN, render_page
from docs.make_tables import PAGES as TABLE_PAGES
from sparkscore.cli.main import app
from sparkscore.control import RunOptions, SummaryMessage, Workspace, plan_run
from sparkscore.control.workspace_config import SETTINGS, read_config
from sparkscore.messages.status import StatusMessage
from sparkscore.spec import DOCUMENTS, DeploymentSpec, load_document
from tests.architecture.sources import ROOT, module_paths, relative_name

PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "conf").rglob("README.md"),
    ]
)
REQUIRED = {"name": "some-name", "endpoint_name": "some-endpoint", "model": {"path": "./model"}}
SHELL_ENDS = ("|", ">", ">>", "&&", ";", "#")
QUICK_START_LINES = 30


class Block(NamedTuple):
    """A fenced block of a page; ``line`` is where its text begins."""

    page: Path
    line: int
    language: str
    text: str


def iter_blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start(2)) + 1
        yield Block(page, line, match[1], match[2])


def name_block(block: Block) -> str:
    return f"{relative_name(block.page)}:{block.line}"


BLOCKS = [block for page in PAGES for block in iter_blocks(page)]
YAML_BLOCKS = [block for block in BLOCKS if block.language == "yaml"]
PYTHON_BLOCKS = [block for block in BLOCKS if block.language == "python"]


def iter_commands(text: str) -> Iterator[list[str]]:
    """The arguments of each ``sparkscore`` command, without the shell's part of the line."""
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"^\w+=\$\((.*)\)$", r"\1", line.removeprefix("$ "))
        words = shlex.split(line) if "sparkscore " in line else []
        if words[:1] == ["sparkscore"]:
            ends = [position for position, word in enumerate(words) if word in SHELL_ENDS]
            yield words[1 : min(ends, default=len(words))]


COMMANDS = [
    (block, command)
    for block in BLOCKS
    if block.language == ""
    for command in iter_commands(block.text)
]


def parse_command(arguments: list[str]) -> dict[str, Any]:
    """What the command line's own parser makes of them; leaves like it for wrong ones."""
    command: Any = typer.main.get_command(app)
    left = list(arguments)
    while hasattr(command, "commands"):
        name = left.pop(0)
        command = command.get_command(None, name)
        if command is None:
            raise KeyError(name)
    parameters: dict[str, Any] = command.make_context("sparkscore", left).params
    return parameters


@pytest.mark.parametrize("path", TABLE_PAGES, ids=relative_name)
def test_keys__tables_are_up_to_date(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert page == render_page(page), "run: python docs/make_tables.py"


def test_keys__every_document_has_a_table() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in TABLE_PAGES)
    assert [kind for kind in DOCUMENTS if pages.count(BEGIN.format(kind=kind)) != 1] == []
    assert "| `settings.mini_batch_size` | `mini_batch_size` |" in pages
    assert "| `inputs.<name>.path` |" in pages


def find_kind(text: str) -> str:
    """The kind of document that a block is: by its ``$schema``, else its first comment.

    ``# endpoint.yml`` and ``# data-flights.yml`` say it; a block that says nothing is a deployment.
    """
    schema = re.search(r"^\$schema: \S*/(\w+)\.schema\.json$", text, re.MULTILINE)
    comment = re.match(r"# ([a-z]+)\S*\.ya?ml\b", text)
    found = schema or comment
    name = found[1].lower() if found is not None else "deployment"
    return next((kind for kind in sorted(DOCUMENTS, key=len) if name.endswith(kind)), name)


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=name_block)
def test_yaml__loads(block: Block, tmp_path: Path) -> None:
    kind = find_kind(block.text)
    content = yaml.safe_load(block.text)
    file = tmp_path / f"{kind}.yml"
    is_part = kind == "deployment" and "name" not in content
    file.write_text(yaml.safe_dump({**REQUIRED, **content}) if is_part else block.text)
    assert load_document(DOCUMENTS[kind], file).spec.to_document()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("name: abc\n", "deployment"),
        ("# endpoint.yml\nname: abc\n", "endpoint"),
        ("# data-flights.yml\nname: abc\n", "data"),
        ("# datastore.yml\nname: abc\n", "datastore"),
        ("# a comment\nname: abc\n", "deployment"),
        ("$schema: https://x.net/latest/batchEndpoint.schema.json\n", "endpoint"),
        ("$schema: https://x.net/latest/modelBatchDeployment.schema.json\n", "deployment"),
        ("$schema: https://x.net/latest/amlCompute.schema.json\n", "compute"),
    ],
)
def test_find_kind__examples(text: str, kind: str) -> None:
    assert find_kind(text) == kind


@pytest.mark.parametrize(
    "file",
    [path for kind in DOCUMENTS for path in sorted((ROOT / "conf").rglob(f"{kind}*.yml"))],
    ids=relative_name,
)
def test_example__loads(file: Path) -> None:
    model = DOCUMENTS[find_kind(f"# {file.name}")]
    spec = load_document(model, file).spec
    if isinstance(spec, DeploymentSpec) and spec.code_configuration is not None:
        code = file.parent / spec.code_configuration.code
        assert (code / spec.code_configuration.scoring_script).is_file()


@pytest.mark.parametrize(("block", "command"), COMMANDS)
def test_command__parses(block: Block, command: list[str]) -> None:
    assert "--help" not in command
    assert parse_command(command) is not None


def test_command__wrong_one_is_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse_command(["batch-deployment", "run", "--file", "a.yml", "--input", "b", "--no-such"])
    with pytest.raises(KeyError):
        parse_command(["batch-deployment", "walk"])


def test_command__blocks_are_found() -> None:
    commands = {" ".join(command[:2]) for _, command in COMMANDS}
    verbs = {"batch-deployment create", "batch-deployment run", "batch-deployment compile"}
    assert {"batch-endpoint invoke", "job stream", *verbs} <= commands
    assert len(YAML_BLOCKS) > 5
    assert len(PYTHON_BLOCKS) > 2


@pytest.mark.parametrize("block", PYTHON_BLOCKS, ids=name_block)
def test_python__compiles_and_imports_what_is_there(block: Block) -> None:
    tree = ast.parse(block.text, filename=name_block(block))
    compile(tree, name_block(block), "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sparkscore"):
            module = importlib.import_module(str(node.module))
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@pytest.mark.parametrize("page", PAGES, ids=relative_name)
def test_links__lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_named_tests__exist() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in module_paths(ROOT / "tests"))
    defined = set(re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"`(test_\w+__\w+)`", page.read_text(encoding="utf-8"))
        if name != "test_<subject>__<condition>"
    }
    assert len(named) > 15
    assert named - defined == set()


def test_named_conditions_and_variables__exist() -> None:
    docker = [path for path in (ROOT / "docker").rglob("*") if path.is_file()]
    sources = "".join(path.read_text(encoding="utf-8") for path in (*module_paths(), *docker))
    elsewhere = {"JAVA_HOME", "PYSPARK_PYTHON", "MLFLOW_TRACKING_URI", "UPDATE_GOLDEN"}
    named = {
        name
        for page in PAGES
        for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", page.read_text(encoding="utf-8"))
    }
    assert {"SCRIPT_RAISED", "AZUREML_MODEL_DIR"} <= named
    assert {name for name in named - elsewhere if name not in sources} == set()


def test_summary__every_field_is_explained() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("`summary.json`:\n")[2].partition("\n\nA command ends")[0]
    explained = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", section, re.MULTILINE)))
    assert explained == [field.name for field in dataclasses.fields(SummaryMessage)]
    assert {"heartbeat_at"} <= {field.name for field in dataclasses.fields(StatusMessage)}


def test_workspace__every_setting_is_explained(tmp_path: Path) -> None:
    page = ROOT / "docs" / "workspace.md"
    rows = re.findall(r"^\| `\[(\w+)\] (\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    keys = [(section, key) for section, keys in SETTINGS.items() for key in keys]
    assert rows == keys
    (example,) = [block.text for block in iter_blocks(page) if block.language == "toml"]
    (tmp_path / "sparkscore.toml").write_text(example)
    assert read_config(tmp_path).datastore_options == {"profile": "scoring"}


def test_python_api__methods_exist(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    table = text.partition("| attribute of `Workspace` |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", table, re.MULTILINE)
    workspace = Workspace.open(tmp_path)
    named = [
        (getattr(workspace, attribute), method)
        for attributes, methods in rows
        for attribute in re.findall(r"`(\w+)`", attributes)
        for method in re.findall(r"`(\w+)`", methods)
    ]
    assert len(named) > 40
    assert [(part, method) for part, method in named if not hasattr(part, method)] == []


def find_quick_start() -> dict[str, str]:
    """The files of README's quick start; the first line of each names it."""
    blocks = [block.text for block in iter_blocks(ROOT / "README.md") if block.language]
    return {text.splitlines()[0].removeprefix("# "): text for text in blocks[:3]}


@pytest.fixture
def quick_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """README's quick start as files, made by its own lines."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    echoed = re.findall(r"^echo '(.*)' > (\S+)$", readme, re.MULTILINE)
    for name, text in {**find_quick_start(), **{name: text for text, name in echoed}}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "texts" / "c.txt").write_bytes(b"\xff\xfe")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_quick_start__is_short() -> None:
    files = find_quick_start()
    assert list(files) == ["endpoint.yml", "deployment.yml", "code/score.py"]
    assert "".join(files.values()).count("\n") <= QUICK_START_LINES


def test_quick_start__can_be_planned(quick_start: Path) -> None:
    planned = plan_run(RunOptions(file=Path("deployment.yml"), input="texts"))
    assert (planned.explanation.inputs, planned.explanation.mini_batches) == (3, 2)
    made = ["code", "deployment.yml", "endpoint.yml", "models", "texts"]
    assert sorted(os.listdir(quick_start)) == made


@pytest.mark.parametrize("model", ["first", "second"])
def test_quick_start__scores_what_it_shows(
    model: str, quick_start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(quick_start / "models" / model))
    script = runpy.run_path("code/score.py")
    script["init"]()
    results = script["run"](["texts/a.txt", "texts/b.txt"])
    rows = "".join(f"{result['file']},{result['mood']}\n" for result in results)
    assert f"moods.csv\nfile,mood\n{rows}" in (ROOT / "README.md").read_text(encoding="utf-8")
    with pytest.raises(UnicodeDecodeError):
        script["run"](["texts/c.txt"])
