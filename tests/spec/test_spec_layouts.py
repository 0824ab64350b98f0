"""Both layouts of a deployment file: samples, defaults, and that they mean the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkscore.spec import (
    CodeConfiguration,
    DeploymentSpec,
    EnvironmentSpec,
    InlineModel,
    SettingsSpec,
    load_deployment,
)

SAMPLES = Path(__file__).parent / "samples"

DEFAULTS: dict[str, Any] = {
    "instance_count": None,
    "max_concurrency_per_instance": None,
    "mini_batch_size": 10,
    "output_action": "append_row",
    "output_file_name": None,
    "retry_settings": {"max_retries": 3, "timeout": 30},
    "error_threshold": -1,
    "logging_level": "info",
    "environment_variables": {},
    "output_format": None,
    "output_table": None,
    "output_mode": None,
    "output_schema": None,
    "output_header": True,
    "output_separator": ",",
    "isolation": "process",
    "isolate_failures": True,
    "checkpoint_interval": 600,
    "init_timeout": 600,
    "mini_batch_error_threshold": -1,
    "memory_limit": None,
    "on_bad_row": "fail",
    "passthrough_columns": [],
    "keep_staging": False,
    "spark_conf": {},
}


@pytest.mark.parametrize("text", ["", "type: model\n", "settings: {}\n"])
def test_defaults__minimal_document(make_deployment, text):
    spec = make_deployment(text).spec
    assert spec.settings.model_dump(mode="json") == DEFAULTS
    assert (spec.output_format, spec.output_file_name) == ("csv", "predictions.csv")
    assert (spec.instance_count, spec.max_concurrency_per_instance) == (1, 1)
    assert spec.slots is None
    assert (spec.compute, spec.environment, spec.code_configuration) == (None, None, None)


def test_sample__flat_custom():
    loaded = load_deployment(SAMPLES / "flat_custom.yml")
    spec = loaded.spec
    assert spec.model == InlineModel(path="./mnist/models/")
    assert spec.code_configuration == CodeConfiguration(
        code="./mnist/code/", scoring_script="digit_identification.py"
    )
    assert spec.environment == EnvironmentSpec(
        image="mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:latest",
        conda_file="./mnist/environment/conda.yml",
    )
    assert (spec.instance_count, spec.max_concurrency_per_instance, spec.slots) == (1, 2, 2)
    assert loaded.folder == SAMPLES
    assert loaded.resolve(spec.model.path) == str(SAMPLES / "mnist/models")


def test_sample__nested_custom_equals_flat_custom():
    flat = load_deployment(SAMPLES / "flat_custom.yml").spec
    nested = load_deployment(SAMPLES / "nested_custom.yml").spec
    assert flat.settings == nested.settings
    assert flat.resources == nested.resources
    assert flat.compute == nested.compute


def test_sample__minimal_mlflow():
    spec = load_deployment(SAMPLES / "flat_mlflow.yml").spec
    assert spec.model == InlineModel(path="./autolog_nyc_taxi")
    assert spec.code_configuration is None


def test_sample__required_keys_from_overrides():
    overrides = ["model=azureml://registries/azureml/models/t5/versions/4", "endpoint_name=texts"]
    spec = load_deployment(SAMPLES / "flat_foundation.yml", overrides=overrides).spec
    assert spec.model == "azureml://registries/azureml/models/t5/versions/4"
    assert spec.endpoint_name == "texts"
    assert spec.settings.retry_settings.timeout == 9999
    assert spec.settings.error_threshold == 0
    assert spec.settings.environment_variables == {"MODEL_REVISION": "1.10", "USE_CUDA": "true"}


def test_sample__nested_extensions():
    spec = load_deployment(SAMPLES / "nested_extensions.yml").spec
    assert spec.settings.output_schema == {
        "prediction": "double",
        "fare": "decimal(10,2)",
        "label": "string",
    }
    assert list(spec.settings.output_schema) == ["prediction", "fare", "label"]
    assert spec.settings.memory_limit == 2 * 1024**3
    assert spec.settings.spark_conf == {"spark.executor.memory": "4g", "spark.speculation": "true"}
    assert spec.tags == {"team": "forecasting", "year": "2013"}
    assert (spec.output_format, spec.output_file_name) == ("delta", "")


def test_error_threshold__accepted_in_both_places_of_both_layouts(make_deployment):
    nested_root = make_deployment("type: model\nerror_threshold: 7\nsettings: {mini_batch_size: 2}")
    flat_settings = make_deployment("mini_batch_size: 2\nsettings: {error_threshold: 7}")
    for loaded in (nested_root, flat_settings):
        assert loaded.spec.settings.error_threshold == 7
        assert loaded.spec.settings.mini_batch_size == 2


@pytest.mark.parametrize("type_line", ["", "type: model\n"])
@pytest.mark.parametrize("model_key", ["path", "local_path"])
@pytest.mark.parametrize("code", ["src", "{local_path: src}", "{path: src}"])
def test_aliases__accepted_in_both_layouts(make_deployment, type_line, model_key, code):
    text = (
        f"name: abc\nendpoint_name: digits\n{type_line}model: {{{model_key}: m}}\n"
        f"code_configuration: {{code: {code}, scoring_script: score.py}}\n"
    )
    spec = make_deployment(text, alone=True).spec
    assert spec.model.path == "m"
    assert spec.code_configuration.code == "src"


names = st.from_regex(r"[A-Za-z][A-Za-z0-9]{2,9}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
setting_values = st.fixed_dictionaries(
    {},
    optional={
        "max_concurrency_per_instance": st.integers(1, 64),
        "mini_batch_size": st.integers(1, 2**31 - 1),
        "output_action": st.just("append_row"),
        "retry_settings": st.fixed_dictionaries(
            {}, optional={"max_retries": st.integers(0, 9), "timeout": st.integers(1, 259200)}
        ),
        "error_threshold": st.integers(-1, 2**31 - 1),
        "logging_level": st.sampled_from(["INFO", "Debug", "warning"]),
        "environment_variables": st.dictionaries(names, texts, max_size=3),
        "output_format": st.sampled_from(["csv", "jsonl", "parquet", "delta"]),
        "output_schema": st.dictionaries(
            st.sampled_from(["a", "b"]),
            st.sampled_from(["int", "Long", "decimal(9, 2)"]),
            min_size=1,
        ),
        "output_header": st.booleans(),
        "output_separator": st.sampled_from([",", ";", " ", "\t", "|"]),
        "isolation": st.sampled_from(["process", "inline"]),
        "isolate_failures": st.booleans(),
        "checkpoint_interval": st.integers(1, 259200),
        "init_timeout": st.integers(1, 259200),
        "mini_batch_error_threshold": st.integers(-1, 9),
        "memory_limit": st.sampled_from(["2g", "512 MiB", 2**30]),
        "on_bad_row": st.sampled_from(["fail", "skip"]),
        "passthrough_columns": st.one_of(
            st.just("all"), st.lists(st.sampled_from(["a", "b", "c"]), unique=True)
        ),
        "keep_staging": st.booleans(),
        "spark_conf": st.dictionaries(names.map(lambda name: f"spark.x.{name}"), texts, max_size=2),
    },
)
root_values = st.fixed_dictionaries(
    {"name": names, "endpoint_name": names, "model": st.just("models:/m/1")},
    optional={
        "description": texts,
        "tags": st.dictionaries(texts, texts, max_size=2),
        "compute": names,
        "resources": st.fixed_dictionaries({"instance_count": st.integers(1, 9)}),
    },
)


@given(root=root_values, chosen=setting_values)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_layouts__equal_documents_give_equal_specs(make_deployment, root, chosen):
    flat = make_deployment(yaml.safe_dump({**root, **chosen}), alone=True).spec
    nested_document = {**root, "type": "model", "settings": chosen}
    nested = make_deployment(yaml.safe_dump(nested_document), alone=True).spec
    assert flat == nested
    dumped = flat.model_dump(mode="json")
    assert DeploymentSpec.model_validate(json.loads(json.dumps(dumped))) == flat


def test_settings__every_field_stands_at_the_root_of_the_flat_layout(make_deployment):
    for name, info in SettingsSpec.model_fields.items():
        default = info.get_default(call_default_factory=True)
        if isinstance(default, (bool, int, str)):
            spec = make_deployment(yaml.safe_dump({name: default})).spec
            assert getattr(spec.settings, name) == default
            assert name in spec.settings.model_fields_set
