"""Commands of the platform that docs/databricks.md shows, and the names they use."""

from __future__ import annotations

import inspect
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.sdk import WorkspaceClient

from sparkscore.control.compile import compile_deployment
from sparkscore.control.options import CompileOptions, RunOptions
from tests.control.samples import write_deployment
from tests.servers.databricks_bodies import Bundle, resolve_variables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "databricks.md").read_text()
GOLDEN = ROOT / "tests" / "golden" / "compile"
BUNDLE: dict[str, Any] = yaml.safe_load(
    (GOLDEN / "databricks-bundle" / "databricks.yml").read_text()
)

OF_THE_CLI = {
    ("auth", "login"): {"--host"},
    ("bundle", "validate"): {"--target", "--var"},
    ("bundle", "deploy"): {"--target", "--var"},
    ("bundle", "run"): {"--target", "--params"},
    ("fs", "cp"): {"-r"},
    ("fs", "ls"): set(),
    ("fs", "cat"): set(),
}
"""Commands with their flags that the CLI has of its own; the others it makes of the API, as the SDK
is made."""


def iter_commands() -> Iterator[list[str]]:
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for line in [] if language else text.splitlines():
            if line.startswith("databricks "):
                yield shlex.split(line)[1:]


COMMANDS = [*iter_commands()]
BUNDLE_COMMANDS = [command for command in COMMANDS if command[0] == "bundle"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_page__commands_exist(command: list[str]) -> None:
    group, verb, *words = command
    flags = {word for word in words if word.startswith("-")}
    if (group, verb) in OF_THE_CLI:
        assert flags <= OF_THE_CLI[group, verb]
        return
    (api,) = getattr(WorkspaceClient, group).fget.__annotations__.values()
    parameters = inspect.signature(getattr(api, verb.replace("-", "_"))).parameters.values()
    positional = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    required = [each for each in positional if each.name != "self" and each.default is each.empty]
    if flags:
        assert flags == {"--json"}
        assert (GOLDEN / "databricks" / Path(words[-1]).name).is_file()
    else:
        assert len(words) == len(required)


@pytest.mark.parametrize("command", BUNDLE_COMMANDS, ids=" ".join)
def test_page__bundle_has_what_is_named(command: list[str]) -> None:
    options = dict(itertools.pairwise(command))
    variables = [
        value.partition("=")[0] for flag, value in itertools.pairwise(command) if flag == "--var"
    ]
    assert set(variables) <= BUNDLE["variables"].keys()
    assert options.get("--target", "dev") in BUNDLE["targets"]
    if command[1] == "run":
        job = BUNDLE["resources"]["jobs"][command[2]]
        names = {parameter["name"] for parameter in job["parameters"]}
        assert options.get("--params", "input=").partition("=")[0] in names


def test_page__tells_of_all_parameters_and_variables() -> None:
    job = json.loads((GOLDEN / "databricks" / "create.json").read_text())
    names = [parameter["name"] for parameter in job["parameters"]]
    (bundled,) = BUNDLE["resources"]["jobs"].values()
    assert names == [parameter["name"] for parameter in bundled["parameters"]]
    table = re.search(r"^\| parameter \|.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert table is not None
    assert re.findall(r"^\| `(\w+)`", table[0], re.MULTILINE) == names
    assert all(f"`{name}`" in PAGE or f"{name}=" in PAGE for name in BUNDLE["variables"])


def test_page__walk_compiles_what_it_tells_of(tmp_path: Path) -> None:
    (compute,) = re.findall(r"^```yaml\n(# compute.yml\nname: .*?)^```$", PAGE, re.M | re.DOTALL)
    (tmp_path / "compute.yml").write_text(compute)
    (line,) = re.findall(r"^sparkscore (.*--target databricks-bundle .*)$", PAGE, re.MULTILINE)
    words = shlex.split(line)
    given = {flag: word for flag, word in itertools.pairwise(words) if flag.startswith("-")}
    run = RunOptions(
        file=write_deployment(tmp_path / "mine"),
        input=given["--input"],
        output_path=given["--output-path"],
        compute=str(tmp_path / given["--compute"]),
    )
    folder = tmp_path / given["-o"]
    compile_deployment(CompileOptions(run, given["--target"], folder))
    assert (folder / "sparkscore.zip").is_file()
    bundle = resolve_variables(yaml.safe_load((folder / "databricks.yml").read_text()))
    Bundle.model_validate(bundle)
    (job,) = bundle["resources"]["jobs"].values()
    defaults = {parameter["name"]: parameter["default"] for parameter in job["parameters"]}
    results = defaults["output"].replace("{run}", "RUN")
    account = json.loads((folder / "launch.json").read_text())["job_folder"] + "/runs/RUN"
    assert f"databricks fs cat dbfs:{results}/predictions.csv\n" in PAGE
    assert f"databricks fs cat dbfs:{account}/summary.json\n" in PAGE
    assert f"databricks fs cp -r images dbfs:{defaults['input']}\n" in PAGE
