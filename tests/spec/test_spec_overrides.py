"""``--set`` and flags over a document."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkscore.errors import (
    InvalidFieldError,
    MalformedDocumentError,
    SpecError,
    UnknownFieldError,
)
from sparkscore.spec import InlineModel

SETTINGS = [
    ("timeout=60", ("retry_settings", "timeout"), 60),
    ("max_retries=0", ("retry_settings", "max_retries"), 0),
    ("retry_settings.timeout=60", ("retry_settings", "timeout"), 60),
    ("settings.retry_settings.timeout=60", ("retry_settings", "timeout"), 60),
    ("mini_batch_size=5", ("mini_batch_size",), 5),
    ("settings.mini_batch_size=5", ("mini_batch_size",), 5),
    ("output_file_name=a.csv", ("output_file_name",), "a.csv"),
    ("error_threshold=-1", ("error_threshold",), -1),
    ("settings.error_threshold=9", ("error_threshold",), 9),
    ("settings.instance_count=9", ("instance_count",), 9),
    ("isolate_failures=false", ("isolate_failures",), False),
    ("output_separator=|", ("output_separator",), "|"),
    ("output_separator=,", ("output_separator",), ","),
    ('output_separator="\\t"', ("output_separator",), "\t"),
    ("output_separator=#", ("output_separator",), "#"),
    ("output_separator= ", ("output_separator",), " "),
    ("output_separator=\t", ("output_separator",), "\t"),
    ("output_separator= ; ", ("output_separator",), ";"),
    ("environment_variables.X=  ", ("environment_variables",), {"X": "  "}),
    ("passthrough_columns=[a, b]", ("passthrough_columns",), ("a", "b")),
    ("passthrough_columns=all", ("passthrough_columns",), "all"),
    ("environment_variables.X=y", ("environment_variables",), {"X": "y"}),
    ("settings.environment_variables.X=1.10", ("environment_variables",), {"X": "1.10"}),
    ("environment_variables.X=", ("environment_variables",), {"X": ""}),
    ("environment_variables.X=a=b: c #d", ("environment_variables",), {"X": "a=b: c #d"}),
    ("environment_variables.X.Y=True", ("environment_variables",), {"X.Y": "True"}),
    ("environment_variables={A: 1}", ("environment_variables",), {"A": "1"}),
    (
        "spark_conf.spark.executor.memory=2g",
        ("spark_conf",),
        {"spark.executor.memory": "2g"},
    ),
    ("output_schema.a=long", ("output_schema",), {"a": "bigint"}),
    ("output_schema={a: 'decimal(9,2)'}", ("output_schema",), {"a": "decimal(9,2)"}),
    ("retry_settings={timeout: 7}", ("retry_settings", "timeout"), 7),
    ("memory_limit=2g", ("memory_limit",), 2 * 1024**3),
]


@pytest.mark.parametrize("text", ["", "type: model\n", "retry_settings: {timeout: 1}\n"])
@pytest.mark.parametrize(("override", "path", "value"), SETTINGS)
def test_set__reaches_the_setting(make_deployment, text, override, path, value):
    found = make_deployment(text, override).spec.settings
    for name in path:
        found = getattr(found, name)
    assert found == value


def test_set__keeps_the_rest_of_a_section(make_deployment):
    text = "retry_settings: {max_retries: 7, timeout: 8}\nenvironment_variables: {A: b}\n"
    settings = make_deployment(text, "timeout=9", "environment_variables.C=d").spec.settings
    assert (settings.retry_settings.max_retries, settings.retry_settings.timeout) == (7, 9)
    assert settings.environment_variables == {"A": "b", "C": "d"}


def test_set__later_wins_and_flags_win_over_all(make_deployment):
    loaded = make_deployment(
        "mini_batch_size: 1", "mini_batch_size=2", "mini_batch_size=3", flags={"timeout": 4}
    )
    assert loaded.spec.settings.mini_batch_size == 3
    flagged = make_deployment(
        "mini_batch_size: 1", "mini_batch_size=2", flags={"mini_batch_size": 5}
    )
    assert flagged.spec.settings.mini_batch_size == 5
    assert str(flagged.get_place("settings.mini_batch_size")) == "--mini-batch-size"


def test_flags__none_is_not_given(make_deployment):
    assert make_deployment("mini_batch_size: 4", flags={"mini_batch_size": None}).spec == (
        make_deployment("mini_batch_size: 4").spec
    )


def test_flags__typed_values(make_deployment):
    flags = {
        "environment_variables.A": True,
        "spark_conf": {"spark.a": 1},
        "passthrough_columns": ["a"],
        "endpoint_name": "other",
    }
    spec = make_deployment(flags=flags).spec
    assert spec.settings.environment_variables == {"A": "true"}
    assert spec.settings.spark_conf == {"spark.a": "1"}
    assert spec.settings.passthrough_columns == ("a",)
    assert spec.endpoint_name == "other"


@pytest.mark.parametrize(
    ("text", "override", "count"),
    [
        ("", "instance_count=4", 4),
        ("resources: {instance_count: 2}", "instance_count=4", 4),
        ("settings: {instance_count: 2}", "instance_count=4", 4),
        ("", "resources.instance_count=4", 4),
    ],
)
def test_set__instance_count_replaces_what_was_given(make_deployment, text, override, count):
    assert make_deployment(text, override).spec.slots == count
    value = {"instance_count": count}
    assert make_deployment(text, flags=value).spec.instance_count == count


def test_set__null_removes_the_key(make_deployment):
    text = "output_file_name: a.csv\nenvironment_variables: {A: b}\n"
    loaded = make_deployment(
        text, "output_action=summary_only", "output_file_name=null", "environment_variables.A=~"
    )
    assert loaded.spec.settings.output_file_name is None
    assert loaded.spec.settings.environment_variables == {}


def test_set__null_of_a_required_key_is_missing(make_error):
    assert make_error("", "model=null").condition == "MISSING_FIELD"


@pytest.mark.parametrize("key", ["model.path", "model.local_path"])
@pytest.mark.parametrize("model", ["azureml:m:1", "{path: a}", "{local_path: a}"])
def test_set__model_path_replaces_any_model(make_deployment, key, model):
    text = f"name: abc\nendpoint_name: digits\nmodel: {model}\n"
    assert make_deployment(text, f"{key}=./b", alone=True).spec.model == InlineModel(path="./b")


@pytest.mark.parametrize("code", ["src", "{local_path: src}"])
@pytest.mark.parametrize("key", ["code_configuration.code", "code_configuration.code.local_path"])
def test_set__code_replaces_any_code(make_deployment, key, code):
    text = f"code_configuration: {{code: {code}, scoring_script: s.py}}"
    assert make_deployment(text, f"{key}=other").spec.code_configuration.code == "other"


def test_set__mapping_with_old_names(make_deployment):
    assert make_deployment("", "model={local_path: m}").spec.model == InlineModel(path="m")


@pytest.mark.parametrize(
    ("override", "kind", "key"),
    [
        ("mini_batch_size=ten", InvalidFieldError, "mini_batch_size"),
        ("timeout=0", InvalidFieldError, "timeout"),
        ("settings.retry_settings.timeout=", InvalidFieldError, "settings.retry_settings.timeout"),
        ("tiemout=1", UnknownFieldError, "tiemout"),
        ("a.b.c=1", UnknownFieldError, "a.b.c"),
        ("settings.nothing=1", UnknownFieldError, "settings.nothing"),
        ("environment_variables.=1", UnknownFieldError, "environment_variables."),
        ("model={pth: 1}", UnknownFieldError, "model.pth"),
        ("spark_conf.spark.master=x", InvalidFieldError, "spark_conf.spark.master"),
        ("mini_batch_size", InvalidFieldError, "mini_batch_size"),
        ("=1", InvalidFieldError, ""),
        ("tags=[1", MalformedDocumentError, "tags"),
        ("tags={a: !!str b}", MalformedDocumentError, "tags"),
        ("description=\0", InvalidFieldError, "description"),
        ("description=\udc80", InvalidFieldError, "description"),
    ],
)
def test_set__refused_names_the_key_as_given(make_error, deployment_file, override, kind, key):
    error = make_error("", override)
    assert type(error) is kind
    assert error.message.startswith("--set: ")
    assert error.attributes["key"] == key
    assert error.attributes["line"] is None
    assert error.attributes["file"] == str(deployment_file)


def test_set__unknown_names_the_nearest(make_error):
    assert make_error("", "tiemout=1").attributes["nearest"] == "timeout"
    assert make_error("", "mini_batch_sise=1").attributes["nearest"] == "mini_batch_size"


def test_set__errors_of_file_come_first(make_error):
    error = make_error("mini_batch_size: 0", "timeout=0")
    assert error.attributes["key"] == "mini_batch_size"
    assert "also --set: timeout" in error.message


def test_set__corrects_a_wrong_value_in_the_file(make_deployment):
    assert make_deployment("mini_batch_size: ten", "mini_batch_size=10").spec.settings == (
        make_deployment("mini_batch_size: 10").spec.settings
    )


def test_flag__refused_names_the_flag(make_error):
    error = make_error("", flags={"mini_batch_size": 0})
    assert error.message.startswith("--mini-batch-size: mini_batch_size must be ")


keys = st.one_of(
    st.sampled_from(["timeout", "model", "model.path", "tags.a", "settings", "code_configuration"]),
    st.text(max_size=12),
)


@given(st.lists(st.builds("{}={}".format, keys, st.text(max_size=12)) | st.text(max_size=12)))
@settings(max_examples=60, deadline=None)
def test_set__anything_gives_a_spec_or_a_spec_error(make_deployment, overrides):
    try:
        loaded = make_deployment("", *overrides)
    except SpecError as error:
        assert "\n" not in error.message
    else:
        assert loaded.spec.model_dump_json()
