"""The verbs and flags of the reference's command line, on a real workspace."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, RunCli
from tests.cli.places import ENDPOINT
from tests.cli.reference.test_yaml import get_items


def test_endpoint_verbs(run: Run, place: Path) -> None:
    assert run("batch-endpoint create --name plain --no-wait --query name -o tsv") == "plain"
    run("batch-endpoint create --file endpoint.yml --set tags.more=b")
    show = f"batch-endpoint show --name {ENDPOINT} --query"
    assert json.loads(run(f"{show} tags")) == {"team": "a", "more": "b"}
    assert run("batch-endpoint list --query [].name -o tsv").split() == [ENDPOINT, "plain"]
    run(f"batch-endpoint update -n {ENDPOINT} --set tags.n=1 --force-string --no-wait")
    run(f"batch-endpoint update -n {ENDPOINT} --add tags.x=y --remove tags.more")
    assert json.loads(run(f"{show} tags")) == {"team": "a", "n": "1", "x": "y"}
    run("batch-deployment create -f deployment.yml")
    run(f"batch-endpoint update --name {ENDPOINT} --defaults deployment_name=first")
    expected = {"Name": ENDPOINT, "Defaults": {"deployment_name": "first"}}
    assert json.loads(run(show, "{Name:name, Defaults:defaults}")) == expected
    assert run(f"{show} scoring_uri -o tsv").startswith("http")
    assert run(f"batch-endpoint list-jobs -n {ENDPOINT}") == "[]"
    assert run(f"batch-endpoint delete --name {ENDPOINT} --yes --no-wait") == ""


def test_deployment_verbs(run: Run, endpoint: str, place: Path) -> None:
    own = f"--endpoint-name {endpoint}"
    create = f"batch-deployment create --file second.yml --name other {own}"
    assert run(f"{create} --set mini_batch_size=6 --query settings.mini_batch_size") == "6"
    run(f"{create} --no-wait --skip-script-validation")
    run(f"{create} --set-default")
    assert run(f"batch-endpoint show -n {endpoint} --query defaults.deployment_name") == '"other"'
    show = f"batch-deployment show --name other {own} --query"
    assert run(f"{show} settings.mini_batch_size") == "2"
    assert run(f"batch-deployment list -e {endpoint} --query [].name -o tsv") == "first\nother"
    assert run(f"batch-deployment list-jobs -n first -e {endpoint} --query [].name") == "[]"
    update = f"batch-deployment update --name other {own}"
    run(f"{update} --set settings.retry_settings.timeout=300 --add tags.x=1 --remove tags.team")
    assert json.loads(run(f"{show} tags")) == {"x": "1"}
    run(f"{update} --file second.yml")
    assert run(f"{show} settings.retry_settings.timeout") == "20"
    run(f"batch-deployment delete --name other {own} --yes --new-default first")
    run(f"batch-deployment delete --name first {own} --yes")


FOLDER = "azureml://datastores/workspaceblobstore/paths"
INVOKE: dict[str, tuple[str, str, Any]] = {
    "--name/-n": ("", "endpoint_name", ENDPOINT),
    "--deployment-name/-d": ("-d second", "deployment_name", "second"),
    "--input-dataset azureml:NAME:VERSION": (
        "--input-dataset azureml:texts:1",
        "inputs.*.path | [0]",
        "azureml:texts:1",
    ),
    "--input-path folder:URI": (
        f"--input-path folder:{FOLDER}/in",
        "inputs.*.type | [0]",
        "uri_folder",
    ),
    "--input-path file:URI": (
        f"--input-path file:{FOLDER}/in/1.txt",
        "inputs.*.type | [0]",
        "uri_file",
    ),
    "--mini-batch-size/-m": ("-m 3", "deployment.settings.mini_batch_size", 3),
    "--instance-count/-c": ("-c 2", "deployment.resources.instance_count", 2),
    "--output-path folder:URI": (
        f"--output-path folder:{FOLDER}/out/a",
        "ends_with(outputs.score.path, '/out/a/moods.csv')",
        True,
    ),
    "--output-path URI": (
        f"--output-path {FOLDER}/out/b",
        "ends_with(outputs.score.path, '/out/b/moods.csv')",
        True,
    ),
    "--set output_file_name": (
        "--set output_file_name=x.csv",
        "ends_with(outputs.score.path, '/x.csv')",
        True,
    ),
    "--set retry_settings.max_retries, max_retries": (
        "--set max_retries=7",
        "deployment.settings.retry_settings.max_retries",
        7,
    ),
    "--set retry_settings.timeout, timeout": (
        "--set timeout=10 retry_settings.timeout=61",
        "deployment.settings.retry_settings.timeout",
        61,
    ),
    "--set error_threshold": (
        "--set error_threshold=9",
        "deployment.settings.error_threshold",
        9,
    ),
    "--input-local-path": ("--input-local-path in", "starts_with(inputs.*.path | [0], 'az')", True),
    "--input asset, URI or path": (
        "--input azureml:texts@latest",
        "inputs.*.path | [0]",
        "azureml:texts:1",
    ),
    "--input-type uri_folder, uri_file": (
        "--input in/1.txt --input-type uri_file",
        "inputs.*.type | [0]",
        "uri_file",
    ),
    "--set inputs.NAME.type, inputs.NAME.path": (
        "--set inputs.texts.type=uri_folder inputs.texts.path=in",
        "inputs.*.type | [0]",
        "uri_folder",
    ),
    "--file/-f": ("--file invoke.yml", "ends_with(outputs.score.path, '/own/mine.csv')", True),
    "--experiment-name": ("--experiment-name trial", "experiment_name", "trial"),
}


@pytest.mark.parametrize("item", get_items("test_invoke__flag"))
def test_invoke__flag(run: Run, endpoint: str, place: Path, item: str) -> None:
    flags, query, value = INVOKE[item]
    run("batch-deployment create -f second.yml")
    datastore = place / "ws" / "datastores" / "workspaceblobstore" / "in"
    datastore.mkdir(parents=True)
    (datastore / "1.txt").write_text("1")
    (place / "invoke.yml").write_text(
        "inputs: {texts: {type: uri_folder, path: ./in}}\n"
        "outputs: {score: {type: uri_file, path: ./own/mine.csv}}\n"
    )
    given = "" if "input" in flags or "invoke.yml" in flags else "--input in"
    job = json.loads(run(f"batch-endpoint invoke --name {endpoint} {given} {flags}"))
    assert next(iter(job)) == "name"
    shown = run(f"job show -n {job['name']} --query", query)
    assert json.loads(shown) == value


def test_invoke__csv_in_the_form_of_the_reference(run: Run, endpoint: str) -> None:
    invoke = f"batch-endpoint invoke -n {endpoint} --input in --query name -o tsv --set"
    job = run(invoke, "output_header=false", "output_separator= ")
    query = "deployment.settings.[output_header, output_separator]"
    assert json.loads(run(f"job show -n {job} --query", query)) == [False, " "]


def test_invoke__job_name(run: Run, run_cli: RunCli, endpoint: str) -> None:
    invoke = f"batch-endpoint invoke -n {endpoint} --job-name nightly --input"
    assert run(f"{invoke} in --query name") == run(f"{invoke} in --query name") == '"nightly"'
    answer = run_cli(*f"{invoke} in/1.txt".split())
    assert answer.exit_code == 5
    assert answer.err.startswith("sparkscore: JOB_NAME_CONFLICT: ")


def refuse(run_cli: RunCli, line: str) -> str:
    """The condition with which a command is refused."""
    answer = run_cli(*line.split())
    assert answer.exit_code in (2, 5)
    assert answer.out == ""
    return answer.err.split(": ")[1]


def test_invoke__existing_output(run: Run, run_cli: RunCli, endpoint: str, place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "moods.csv").touch()
    line = f"batch-endpoint invoke -n {endpoint} --input in --output-path out"
    assert refuse(run_cli, line) == "OUTPUT_EXISTS"
    assert run("job list") == "[]"


def test_invoke__tabular_data(run_cli: RunCli, endpoint: str, place: Path) -> None:
    line = "data create --name table --type mltable --path in"
    answer = run_cli(*line.split())
    assert answer.exit_code == 2
    assert "mltable" in answer.err


def test_invoke__without_a_default(run: Run, run_cli: RunCli, place: Path) -> None:
    run("batch-endpoint create -f endpoint.yml")
    run("batch-deployment create -f deployment.yml")
    answer = run_cli("batch-endpoint", "invoke", "-n", ENDPOINT, "--input", "in")
    assert answer.exit_code == 5
    assert "No valid deployments to route to" in answer.err
    line = f"batch-endpoint invoke -n {ENDPOINT} -d first --input in --query status -o tsv"
    assert run(line) != ""


def test_invoke__literal_input(run_cli: RunCli, endpoint: str) -> None:
    sets = "--set inputs.x.type=integer inputs.x.default=3"
    line = f"batch-endpoint invoke -n {endpoint} {sets}"
    assert refuse(run_cli, line) == "LITERAL_INPUT_NOT_SUPPORTED"


def test_invoke__two_inputs(run_cli: RunCli, endpoint: str) -> None:
    line = f"batch-endpoint invoke -n {endpoint} --input in --input-local-path in"
    assert refuse(run_cli, line) == "CONFLICTING_FLAGS"


def test_job_verbs(run: Run, endpoint: str, place: Path) -> None:
    invoke = f"batch-endpoint invoke -n {endpoint} --input in --query name -o tsv"
    job = run(invoke)
    deadline = time.monotonic() + 60
    while run(f"job show -n {job} --query status -o tsv") != "Completed":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert run("job list --max-results 1 --query [].name -o tsv") == job
    assert run("job list --all-results true --query [].name -o tsv") == job
    assert run(f"job list --parent-job-name {job}") == "[]"
    run(f"job update -n {job} --set tags.a=b")
    run(f"job archive -n {job}")
    assert run("job list") == "[]"
    assert run("job list --include-archived --query [].tags.a -o tsv") == "b"
    assert run("job list --archived-only --query [].name -o tsv") == job
    run(f"job restore -n {job}")
    (place / "out").mkdir()
    (place / "out" / "predictions.csv").write_text("file\n")
    downloads = f"job download -n {job} --output-name score --download-path down --all"
    assert Path(run(f"{downloads} --query path -o tsv")) == place / "down"
    assert (place / "down" / "named-outputs" / "score" / "predictions.csv").read_text() == "file\n"
    assert (place / "down" / "artifacts" / "summary.json").is_file()


def test_other_verbs(run: Run, place: Path) -> None:
    run("account set -s some-subscription")
    assert run("account show --query id -o tsv") == "some-subscription"
    token = "account get-access-token --resource https://ml.azure.com --query accessToken"
    assert json.loads(run(token))
    run("configure --defaults group=some-group workspace=some location=west")
    listed = {row["name"]: row["value"] for row in json.loads(run("configure -l"))}
    assert (listed["group"], listed["location"]) == ("some-group", "west")
    assert run("group show -n some-group --query location -o tsv") == "west"
    assert run("workspace show --query name -o tsv") == "ws"
    run("compute create --name c --type amlcompute --min-instances 0 --max-instances 5")
    run("dataset create --name d --type uri_folder --path in --version 2")
    assert run("data show -n d -v 2 --query type -o tsv") == "uri_folder"
    assert run("data list --query [].name -o tsv").split() == ["d", "texts"]
    (place / "env.yml").write_text("name: base\nversion: 1\nimage: python:3.11\n")
    run("environment create --file env.yml")
    run("model create --name m --version 7 --type custom_model --path model")
    assert run("model show --name m --label latest --query version -o tsv") == "7"
    assert run("model list --name m --query [].version -o tsv") == "7"


@pytest.mark.parametrize(
    "line",
    ["job create -f a", "job validate -f a", "job connect-ssh", "component create -f a", "storage"],
)
def test_verbs__that_are_missing(run_cli: RunCli, line: str) -> None:
    answer = run_cli(*line.split())
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith("sparkscore: WRONG_USAGE: No such command")


def test_generic_flags(run: Run, place: Path) -> None:
    ignored = (
        "-g group --resource-group other --subscription s --debug --verbose --only-show-errors"
    )
    for form in ("json", "jsonc", "yaml", "yamlc", "table", "tsv"):
        assert "cpu-cluster" in run(f"compute list {ignored} -o {form} -w ws")
    assert run(f"compute list -o none --workspace-name {place / 'ws'}") == ""
    assert run("compute show --na cpu-cluster --que name --out tsv") == "cpu-cluster"
