"""A deployment's fields: from the spec, to a document, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import SpecError
from sparkscore.spec import DeploymentSpec, iter_fields, load_deployment
from sparkscore.studio.deployment_form import (
    FIELDS,
    describe_error,
    find_field,
    iter_refusals,
    list_defaults,
    read_document,
    uses_script,
    write_document,
)
from sparkscore.studio.setting_fields import GROUPS, INSTANCE_COUNT, MORE_GROUPS, get_fields

BASE = {"name": "mood-v1", "endpoint_name": "mood", "type": "model"}
FULL: dict[str, Any] = {
    **BASE,
    "description": "Moods.",
    "tags": {"team": "a=b", "line": "one\ntwo"},
    "properties": {"kept": "yes"},
    "model": "azureml:weights:1",
    "code_configuration": {"code": "azureml:score:1", "scoring_script": "lib/score.py"},
    "environment": "azureml:env:2",
    "compute": "azureml:cpu-cluster",
    "resources": {"instance_count": 3, "shm_size": "2g"},
    "settings": {
        "mini_batch_size": 7,
        "output_file_name": "out.csv",
        "output_header": False,
        "output_separator": " ",
        "isolate_failures": False,
        "keep_staging": True,
        "retry_settings": {"max_retries": 0, "timeout": 300},
        "error_threshold": 0,
        "logging_level": "debug",
        "environment_variables": {"A": "1", "B": " spaced ", "C": ""},
        "output_schema": {"file": "string", "score": "decimal(5,2)"},
        "passthrough_columns": ["a", "b, c"],
        "memory_limit": 512 * 1024**2,
        "spark_conf": {"spark.x": "y"},
        "max_concurrency_per_instance": 2,
    },
}


def register(document: dict[str, Any]) -> dict[str, Any]:
    """The document as it is kept, with all defaults."""
    return load_deployment(document).spec.to_document()


def test_fields__every_setting_of_the_spec_stands_in_one_group() -> None:
    settings = {
        ".".join(field.path)
        for field in iter_fields(DeploymentSpec)
        if field.path[0] == "settings" and len(field.path) > 1
    }
    shown = [name for groups in (GROUPS, MORE_GROUPS) for _, names in groups for name in names]
    assert len(shown) == len(set(shown))
    # A section and the other place of the number of instances are no fields.
    assert settings - set(shown) == {"settings.retry_settings", "settings.instance_count"}
    assert set(shown) - settings == set()


def test_fields__say_what_the_spec_says() -> None:
    fields = get_fields()
    for found in iter_fields(DeploymentSpec):
        field = fields.get(".".join(found.path))
        if field is not None:
            assert field.hint == found.description
            assert field.default == field.render(found.default)
    assert fields["settings.mini_batch_size"].default == "10"
    assert fields["settings.output_separator"].default == "comma"
    assert fields["settings.logging_level"].options == ("warning", "info", "debug")
    assert fields["settings.output_action"].options == ("append_row", "summary_only")
    assert (fields["settings.error_threshold"].minimum, fields[INSTANCE_COUNT].minimum) == (-1, 1)


def test_document__defaults_say_nothing() -> None:
    document, wrong = write_document({**list_defaults(), "name": "mood-v1"}, BASE)
    assert wrong == {}
    assert document == {**BASE, "compute": "azureml:local"}


@pytest.mark.parametrize("document", [FULL, {**BASE, "model": "azureml:weights:1"}])
def test_document__comes_back_as_it_was(document: dict[str, Any]) -> None:
    registered = register(document)
    values = read_document(registered)
    again, wrong = write_document({**values, "model_type": "mlflow_model"}, registered)
    assert wrong == {}
    assert register(again) == registered


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "mini_batch_size": st.integers(1, 2**31 - 1),
            "error_threshold": st.integers(-1, 2**31 - 1),
            "output_header": st.booleans(),
            "output_separator": st.characters(min_codepoint=9, max_codepoint=126).filter(
                lambda letter: letter not in '"\r\n'
            ),
            "passthrough_columns": st.just("all") | st.lists(st.text(min_size=1), unique=True),
            "environment_variables": st.dictionaries(
                st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), st.text(max_size=9), max_size=3
            ),
            "on_bad_row": st.sampled_from(["fail", "skip"]),
            "checkpoint_interval": st.integers(1, 1000),
        },
    )
)
def test_document__any_settings_come_back(settings: dict[str, Any]) -> None:
    try:
        registered = register({**BASE, "model": "azureml:weights:1", "settings": settings})
    except SpecError:
        return
    values = {**read_document(registered), "model_type": "mlflow_model"}
    again, wrong = write_document(values, registered)
    assert (wrong, register(again)) == ({}, registered)


def test_document__what_the_form_does_not_ask_is_kept() -> None:
    registered = register(FULL)
    values = {**read_document(registered), "settings.mini_batch_size": "9", INSTANCE_COUNT: ""}
    changed, _ = write_document(values, registered)
    assert changed["properties"] == {"kept": "yes"}
    assert changed["resources"]["shm_size"] == "2g"
    assert "instance_count" not in changed["resources"]
    assert changed["settings"]["mini_batch_size"] == 9


def test_document__instances_in_their_other_place_move() -> None:
    registered = register({**BASE, "model": "azureml:weights:1", "settings": {"instance_count": 4}})
    values = read_document(registered)
    assert values[INSTANCE_COUNT] == "4"
    changed, _ = write_document({**values, "model_type": "mlflow_model"}, registered)
    assert changed["resources"] == {"instance_count": 4}
    assert register(changed)


@pytest.mark.parametrize(
    ("use_script", "model_type", "expected"),
    [
        ("no", "mlflow_model", False),
        ("yes", "mlflow_model", True),
        ("no", "custom_model", True),
        ("", "", True),
    ],
)
def test_uses_script__only_an_mlflow_model_goes_without(
    use_script: str, model_type: str, expected: bool
) -> None:
    assert uses_script({"use_script": use_script, "model_type": model_type}) is expected


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("settings.mini_batch_size", "0"),
        ("settings.mini_batch_size", "ten"),
        ("settings.mini_batch_size", "9" * 5000),
        ("settings.retry_settings.timeout", "1e3"),
        ("settings.output_file_name", "a/b<script>"),
        ("settings.memory_limit", "1k"),
        ("settings.output_schema", "a=numbers"),
        ("settings.output_separator", '"'),
        ("settings.output_action", "something"),
        ("settings.spark_conf", "spark.master=local"),
        ("settings.environment_variables", "no equals"),
        (INSTANCE_COUNT, "-1"),
        ("name", "x!"),
        ("tags", "=no name"),
        ("model", "nonsense"),
    ],
)
def test_refusals__stand_beside_their_field(field: str, text: str) -> None:
    values = {**list_defaults(), "name": "mood-v1", "model": "azureml:weights:1", field: text}
    values["model_type"] = "mlflow_model"
    document, wrong = write_document(values, BASE)
    if not wrong:
        with pytest.raises(SpecError) as raised:
            load_deployment(document)
        wrong = dict(iter_refusals(describe_error(raised.value)))
    assert list(wrong) == [field]
    assert not wrong[field].startswith(("deployment", "settings."))


def test_refusals__all_at_once() -> None:
    values = {
        **list_defaults(),
        "name": "x!",
        "model": "azureml:weights:1",
        "settings.mini_batch_size": "0",
        "settings.retry_settings.max_retries": "many",
    }
    document, _ = write_document({**values, "model_type": "mlflow_model"}, BASE)
    with pytest.raises(SpecError) as raised:
        load_deployment(document)
    found = dict(iter_refusals(describe_error(raised.value)))
    assert set(found) == {
        "name",
        "settings.mini_batch_size",
        "settings.retry_settings.max_retries",
    }
    assert found["settings.mini_batch_size"].startswith("Mini batch size must be")
    assert all("also" not in message for message in found.values())


@pytest.mark.parametrize(
    ("found", "field"),
    [
        ({"key": "code_configuration.scoring_script"}, "scoring_script"),
        ({"key": "settings.output_schema.column"}, "settings.output_schema"),
        ({"key": "model.path"}, "model"),
        ({"condition": "SCRIPT_WITHOUT_RUN"}, "scoring_script"),
        ({"condition": "MODEL_WITHOUT_SCRIPT"}, "use_script"),
        ({"condition": "MODEL_NOT_FOUND"}, "model"),
        ({"condition": "INSTANCE_COUNT_OUT_OF_RANGE"}, INSTANCE_COUNT),
        ({"condition": "COMPUTE_NOT_FOUND"}, "compute"),
        ({"condition": "SOMETHING_ELSE", "key": "unknown.key"}, ""),
        ({}, ""),
    ],
)
def test_find_field__by_key_or_condition(found: dict[str, Any], field: str) -> None:
    assert find_field(found) == field
    assert field in {"", *FIELDS, *get_fields()}
