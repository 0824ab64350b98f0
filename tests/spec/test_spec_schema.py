"""The JSON Schema accepts and refuses what loading does, field by field."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from sparkscore.spec import DeploymentSpec, deployment_json_schema, iter_fields

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.yml"))
BASE = {"name": "abc", "endpoint_name": "digits", "model": "azureml:m:1"}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(deployment_json_schema())


def test_schema__is_a_schema():
    schema = deployment_json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema == deployment_json_schema()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_schema__accepts_samples(validator, path):
    document = yaml.safe_load(path.read_text())
    document = {**BASE, **document}
    assert list(validator.iter_errors(document)) == []


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"type": "model"},
    {"settings": {}},
    {"mini_batch_size": 5, "logging_level": "INFO"},
    {"type": "model", "error_threshold": 3, "settings": {"mini_batch_size": 5}},
    {"mini_batch_size": 5, "settings": {"error_threshold": 3}},
    {"model": {"local_path": "m"}},
    {"model": {"path": "m", "version": 3}},
    {"code_configuration": {"code": {"local_path": "a"}, "scoring_script": "s.py"}},
    {"code_configuration": {"code": "a", "scoring_script": "s.py"}},
    {"environment": {"conda_file": {"dependencies": []}}},
    {"memory_limit": "2g", "passthrough_columns": ["a"], "output_schema": {"a": "Decimal(3, 2)"}},
    {"memory_limit": 2**30, "passthrough_columns": "all"},
    {"environment_variables": {"A": 1, "B": True, "C": "x"}},
]

REFUSED: list[dict[str, Any]] = [
    {"mini_batch_sze": 5},
    {"mini_batch_size": "5"},
    {"mini_batch_size": 0},
    {"mini_batch_size": None},
    {"type": "model", "mini_batch_size": 5},
    {"type": "pipeline"},
    {"settings": {"mini_batch_size": 5}, "timeout": 3},
    {"model": "./m"},
    {"model": {}},
    {"model": {"path": "a", "local_path": "b"}},
    {"model": {"path": "a", "type": "triton_model"}},
    {"output_action": "AppendRow"},
    {"output_file_name": "a/b.csv"},
    {"code_configuration": {"code": "a"}},
    {"output_schema": {"a": "varchar"}},
    {"memory_limit": "lots"},
    {"name": "a_b"},
]


@pytest.mark.parametrize("addition", ACCEPTED)
def test_schema__accepts_what_loading_accepts(validator, make_deployment, addition):
    document = {**BASE, **addition}
    assert list(validator.iter_errors(document)) == []
    make_deployment(yaml.safe_dump(document), alone=True)


@pytest.mark.parametrize("addition", REFUSED)
def test_schema__refuses_what_loading_refuses(validator, make_error, addition):
    document = {**BASE, **addition}
    assert list(validator.iter_errors(document)) != []
    make_error(yaml.safe_dump(document), alone=True)


def test_schema__every_field_has_a_description_in_both_layouts():
    definitions = deployment_json_schema()["$defs"]
    properties = [
        (name, key, value)
        for name, definition in definitions.items()
        for key, value in definition.get("properties", {}).items()
    ]
    assert len(properties) > 100
    assert [entry[:2] for entry in properties if not entry[2].get("description")] == []
    flat = definitions["FlatDeployment"]["properties"]
    nested = definitions["NestedDeployment"]["properties"]
    for field in iter_fields(DeploymentSpec):
        if len(field.path) == 2 and field.path[0] == "settings":
            assert field.path[1] in definitions["SettingsSpec"]["properties"]
            assert field.path[1] in flat or field.path[1] == "instance_count"
        elif len(field.path) == 1:
            assert field.path[0] in nested


def test_schema__seconds_and_bytes_are_said():
    settings = deployment_json_schema()["$defs"]
    for name in ("checkpoint_interval", "init_timeout"):
        assert "econds" in settings["SettingsSpec"]["properties"][name]["description"]
    assert "ytes" in settings["SettingsSpec"]["properties"]["memory_limit"]["description"]
    assert "econds" in settings["RetrySettings"]["properties"]["timeout"]["description"]


def test_schema__callers_get_their_own_copy():
    schema = deployment_json_schema()
    original = copy.deepcopy(schema)
    schema["$defs"].clear()
    assert deployment_json_schema() == original
