"""What fields must not say together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sparkscore.errors import InvalidFieldError
from sparkscore.spec import DeploymentSpec

CONFLICTS = [
    ("output_action: summary_only\noutput_file_name: a.csv", "output_file_name"),
    ("output_action: summary_only\noutput_format: csv", "output_format"),
    ("output_action: summary_only\noutput_table: a", "output_table"),
    ("output_action: summary_only\noutput_schema: {a: int}", "output_schema"),
    ("output_table: a\noutput_file_name: a.delta", "output_file_name"),
    ("output_table: a\noutput_format: csv", "output_format"),
    ("output_mode: append", "output_mode"),
    ("output_format: parquet\noutput_file_name: a.csv", "output_file_name"),
    ("settings: {instance_count: 2}\nresources: {instance_count: 2}", "settings.instance_count"),
    ("output_schema: {a: int, A: int}", "output_schema.A"),
    ("environment_variables: {'A=B': c}", "environment_variables.A=B"),
    ("spark_conf: {spark.master: local}", "spark_conf.spark.master"),
]


@pytest.mark.parametrize(("text", "key"), CONFLICTS)
def test_conflict__names_the_field(make_error, text, key):
    error = make_error(text)
    assert type(error) is InvalidFieldError
    assert error.attributes["key"] == key
    assert error.attributes["line"] in (4, 5)


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_output_mode__with_table(make_deployment, mode):
    settings = make_deployment(f"output_table: a.b\noutput_mode: {mode}").spec.settings
    assert (settings.output_table, settings.output_mode) == ("a.b", mode)


def make_inline(model: str) -> str:
    return f"name: abc\nendpoint_name: digits\nmodel: {model}\n"


def test_custom_model__needs_code(make_error):
    error = make_error(make_inline("{path: m, type: custom_model}"), alone=True)
    assert error.attributes["key"] == "model.type"
    assert "code_configuration" in error.message


@pytest.mark.parametrize("model", ["{path: m, type: mlflow_model}", "{path: m}"])
def test_model_without_code__left_to_resolution(make_deployment, model):
    assert make_deployment(make_inline(model), alone=True).spec.code_configuration is None


def test_spec_built_in_code__is_checked_too():
    with pytest.raises(ValidationError, match="needs output_table"):
        DeploymentSpec.model_validate(
            {
                "name": "abc",
                "endpoint_name": "digits",
                "model": "models:/m/1",
                "settings": {"output_mode": "append"},
            }
        )


def test_spec__is_frozen(make_deployment):
    spec = make_deployment().spec
    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "other"
