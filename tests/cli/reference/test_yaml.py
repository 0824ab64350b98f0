"""The keys of endpoint and deployment files, as commands take them and show them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, RunCli
from tests.cli.places import COMPUTE, ENDPOINT
from tests.cli.reference.rows import read_rows


def get_items(test: str) -> list[str]:
    """The items of the rows that a test proves."""
    return [row.item for row in read_rows() if row.test == test]


ENDPOINT_KEYS: dict[str, tuple[str, str, Any]] = {
    "name": ("", "name", ENDPOINT),
    "description": ("description: some text", "description", "some text"),
    "auth_mode": ("auth_mode: aad_token", "auth_mode", "aad_token"),
    "$schema": ("$schema: https://example.com/batchEndpoint.schema.json", "name", ENDPOINT),
    "tags": ("tags: {team: a}", "tags", {"team": "a"}),
    "properties": ("properties: {cost: low}", "properties", {"cost": "low"}),
    "location, identity": ("location: west\nidentity: {type: some}", "name", ENDPOINT),
}


@pytest.mark.parametrize("item", get_items("test_endpoint_key"))
def test_endpoint_key(run: Run, place: Path, item: str) -> None:
    line, query, value = ENDPOINT_KEYS[item]
    (place / "own.yml").write_text(f"name: {ENDPOINT}\n{line}\n")
    run("batch-endpoint create --file own.yml")
    assert json.loads(run(f"batch-endpoint show -n {ENDPOINT} --query {query}")) == value


@pytest.mark.parametrize("mode", ["key", "aml_token"])
def test_endpoint__other_auth_mode(run_cli: RunCli, place: Path, mode: str) -> None:
    answer = run_cli("batch-endpoint", "create", "-n", ENDPOINT, "--set", f"auth_mode={mode}")
    assert answer.exit_code == 2
    assert "aad_token" in answer.err


@pytest.mark.parametrize("line", ["traffic: {a: 100}", "deployments: [a]", "type: batch"])
def test_endpoint__older_keys(run_cli: RunCli, place: Path, line: str) -> None:
    (place / "own.yml").write_text(f"name: {ENDPOINT}\n{line}\n")
    answer = run_cli("batch-endpoint", "create", "-f", "own.yml")
    assert (answer.exit_code, answer.out) == (2, "")
    assert "own.yml:2:" in answer.err


def test_endpoint__default_deployment(
    run: Run, run_cli: RunCli, endpoint: str, place: Path
) -> None:
    text = f"name: {endpoint}\ndefaults: {{deployment_name: NAME}}\n"
    (place / "own.yml").write_text(text.replace("NAME", "first"))
    run("batch-endpoint create -f own.yml")
    query = "--query defaults.deployment_name -o tsv"
    assert run(f"batch-endpoint show -n {endpoint} {query}") == "first"
    (place / "own.yml").write_text(text.replace("NAME", "nope"))
    assert run_cli("batch-endpoint", "create", "-f", "own.yml").exit_code == 5
    assert run(f"batch-endpoint show -n {endpoint} {query}") == "first"


def test_endpoint__read_only_keys(run: Run, endpoint: str, place: Path) -> None:
    shown = run(f"batch-endpoint show -n {endpoint} -o yaml")
    assert f"scoring_uri: http://127.0.0.1:8600/batchEndpoints/{endpoint}/jobs" in shown
    (place / "shown.yml").write_text(shown + "\n")
    assert run("batch-endpoint create -f shown.yml -o yaml --query tags") == "team: a"


HAS_CODE = "starts_with(code_configuration.code, 'azureml:')"
HAS_ENVIRONMENT = "starts_with(environment, 'azureml:')"

OF_2021: dict[str, tuple[str, Any]] = {
    "$schema": ("name", "first"),
    "name": ("name", "first"),
    "endpoint_name": ("endpoint_name", ENDPOINT),
    "description": ("description", "the layout of 2021"),
    "model: azureml:NAME:VERSION": ("model", "azureml:weights:1"),
    "code_configuration.code.local_path": (
        "starts_with(code_configuration.code, 'azureml:')",
        True,
    ),
    "code_configuration.scoring_script": ("code_configuration.scoring_script", "score.py"),
    "environment: reference or conda_file and image": (
        "starts_with(environment, 'azureml:')",
        True,
    ),
    "compute: azureml:NAME": ("compute", f"azureml:{COMPUTE}"),
    "resources.instance_count": ("resources.instance_count", 1),
    "max_concurrency_per_instance": ("settings.max_concurrency_per_instance", 2),
    "mini_batch_size": ("settings.mini_batch_size", 4),
    "output_action": ("settings.output_action", "append_row"),
    "output_file_name": ("settings.output_file_name", "moods.csv"),
    "retry_settings.max_retries": ("settings.retry_settings.max_retries", 1),
    "retry_settings.timeout": ("settings.retry_settings.timeout", 45),
    "error_threshold": ("settings.error_threshold", 5),
    "logging_level": ("settings.logging_level", "info"),
    "environment_variables": ("settings.environment_variables", {"MOOD": "good"}),
}


@pytest.mark.parametrize("item", get_items("test_deployment_key__of_2021"))
def test_deployment_key__of_2021(run: Run, endpoint: str, item: str) -> None:
    query, value = OF_2021[item]
    shown = run(f"batch-deployment show -n first -e {endpoint} --query", query)
    assert json.loads(shown) == value


LATER: dict[str, tuple[str, Any]] = {
    "type: model": ("type", "model"),
    "settings": ("settings.retry_settings.timeout", 20),
    "tags": ("tags", {"team": "a"}),
    "properties": ("properties", {"cost": "low"}),
    "model: azureml:NAME@latest": ("model", "azureml:weights:1"),
    "code_configuration.code": (HAS_CODE, True),
    "resources.instance_type": ("resources.instance_type", "big"),
}


@pytest.mark.parametrize("item", get_items("test_deployment_key__of_the_later_layout"))
def test_deployment_key__of_the_later_layout(run: Run, endpoint: str, item: str) -> None:
    query, value = LATER[item]
    run("batch-deployment create -f second.yml")
    shown = run(f"batch-deployment show -n second -e {endpoint} --query", query)
    assert json.loads(shown) == value


def write_model(place: Path, model: str) -> None:
    text = (place / "deployment.yml").read_text()
    (place / "inline.yml").write_text(text.replace("model: azureml:weights:1", f"model: {model}"))


def test_deployment__inline_model(run: Run, endpoint: str, place: Path) -> None:
    models = []
    for key in ("local_path", "path"):
        write_model(place, f"{{{key}: ./model}}")
        models.append(run("batch-deployment create -f inline.yml --query model -o tsv"))
    assert models[0].startswith("azureml:")
    assert models[0] == models[1]


def test_deployment__mlflow_model(run: Run, endpoint: str, place: Path) -> None:
    (place / "flow").mkdir()
    (place / "flow" / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    data: model.pkl\n"
        'signature:\n  inputs: \'[{"name": "x", "type": "double"}]\'\n'
        '  outputs: \'[{"type": "long"}]\'\nmodel_uuid: a\n'
    )
    (place / "flow" / "model.pkl").write_bytes(b"")
    run("model create -n flow --type mlflow_model --path flow")
    (place / "short.yml").write_text(
        f"name: short\nendpoint_name: {endpoint}\n"
        f"model: azureml:flow:1\ncompute: azureml:{COMPUTE}\n"
    )
    assert run("batch-deployment create -f short.yml --query model -o tsv") == "azureml:flow:1"


def test_deployment__required_keys_by_set(run: Run, endpoint: str, place: Path) -> None:
    lines = (place / "deployment.yml").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("model:", "endpoint_name:", "name:"))]
    (place / "open.yml").write_text("".join(kept))
    create = "batch-deployment create -f open.yml --name third"
    sets = f"--set model=azureml:weights:1 endpoint_name={endpoint}"
    assert run(f"{create} {sets} --query name -o tsv") == "third"


@pytest.mark.parametrize("model", ["azureml://registries/some/models/weights/versions/1"])
def test_deployment__registry(run_cli: RunCli, endpoint: str, place: Path, model: str) -> None:
    write_model(place, model)
    answer = run_cli("batch-deployment", "create", "-f", "inline.yml")
    assert (answer.exit_code, answer.out) == (2, "")
    assert "registries" in answer.err


def test_deployment__pipeline(run_cli: RunCli, endpoint: str, place: Path) -> None:
    (place / "pipe.yml").write_text(
        f"type: pipeline\nname: p\nendpoint_name: {endpoint}\ncomponent: azureml:c:1\n"
    )
    answer = run_cli("batch-deployment", "create", "-f", "pipe.yml")
    assert (answer.exit_code, answer.out) == (2, "")
    assert "pipeline" in answer.err
