"""What each field accepts and refuses."""

from __future__ import annotations

import pytest

from sparkscore.errors import InvalidFieldError
from sparkscore.spec import DeploymentSpec, iter_fields

LARGEST = 2**31 - 1

ACCEPTED = [
    ("max_concurrency_per_instance", "4", 4),
    ("mini_batch_size", str(LARGEST), LARGEST),
    ("mini_batch_size", "0x10", 16),
    ("output_action", "summary_only", "summary_only"),
    ("output_file_name", "scores 2021.txt", "scores 2021.txt"),
    ("output_file_name", "..csv", "..csv"),
    ("error_threshold", "0", 0),
    ("error_threshold", str(LARGEST), LARGEST),
    ("logging_level", "WARNING", "warning"),
    ("logging_level", "Debug", "debug"),
    ("output_format", "jsonl", "jsonl"),
    ("output_table", "main.scores.`my table`", "main.scores.`my table`"),
    ("output_header", "false", False),
    ("output_separator", "' '", " "),
    ("output_separator", r'"\t"', "\t"),
    ("isolation", "inline", "inline"),
    ("isolate_failures", "False", False),
    ("checkpoint_interval", "1", 1),
    ("init_timeout", "259200", 259200),
    ("mini_batch_error_threshold", "0", 0),
    ("memory_limit", "2g", 2 * 1024**3),
    ("memory_limit", "1.5 GiB", 3 * 1024**3 // 2),
    ("memory_limit", "512MB", 512 * 1024**2),
    ("memory_limit", "67108864", 64 * 1024**2),
    ("on_bad_row", "skip", "skip"),
    ("passthrough_columns", "all", "all"),
    ("passthrough_columns", "[all, id]", ("all", "id")),
    ("keep_staging", "true", True),
    ("spark_conf", "{spark.a: 1.0}", {"spark.a": "1.0"}),
    ("output_schema", "{a: Integer, b: long}", {"a": "int", "b": "bigint"}),
    ("output_schema", "{a: 'decimal( 38 , 38 )'}", {"a": "decimal(38,38)"}),
    (
        "environment_variables",
        "{A: 1, B: true, C: 1.10, D: yes, E: 2021-10-01, F: '', G: 010, H: 1e3, I: ~x}",
        {
            "A": "1",
            "B": "true",
            "C": "1.10",
            "D": "yes",
            "E": "2021-10-01",
            "F": "",
            "G": "010",
            "H": "1e3",
            "I": "~x",
        },
    ),
]

REFUSED = [
    ("max_concurrency_per_instance", "0"),
    ("mini_batch_size", "0"),
    ("mini_batch_size", "ten"),
    ("mini_batch_size", "'10'"),
    ("mini_batch_size", "010"),
    ("mini_batch_size", "1_000"),
    ("mini_batch_size", "10.0"),
    ("mini_batch_size", "true"),
    ("mini_batch_size", ".inf"),
    ("mini_batch_size", str(LARGEST + 1)),
    ("mini_batch_size", "9" * 5000),
    ("mini_batch_size", "[1]"),
    ("mini_batch_size", "{a: 1}"),
    ("mini_batch_size", "null"),
    ("output_action", "AppendRow"),
    ("output_file_name", "''"),
    ("output_file_name", "a/b.csv"),
    ("output_file_name", "'..'"),
    ("output_file_name", "'.'"),
    ("output_file_name", r"'..\b.csv'"),
    ("output_file_name", r'"a\nb"'),
    ("output_file_name", "' a.csv'"),
    ("output_file_name", "é" * 128),
    ("error_threshold", "-2"),
    ("error_threshold", str(LARGEST + 1)),
    ("logging_level", "error"),
    ("logging_level", "5"),
    ("output_format", "xml"),
    ("output_table", "a.b.c.d"),
    ("output_table", "'a b'"),
    ("output_mode", "replace"),
    ("output_schema", "{a: varchar}"),
    ("output_schema", "{a: 'decimal(39,2)'}"),
    ("output_schema", "{a: 'decimal(0,0)'}"),
    ("output_schema", "{a: 'decimal(5,6)'}"),
    ("output_schema", "{a: 5}"),
    ("output_schema", "{a: }"),
    ("output_schema", "{}"),
    ("output_schema", "{'': int}"),
    ("output_schema", "[a]"),
    ("output_header", "yes"),
    ("output_header", "1"),
    ("output_separator", "';;'"),
    ("output_separator", "''"),
    ("output_separator", "§"),
    ("output_separator", "'\"'"),
    ("output_separator", r'"\n"'),
    ("isolation", "thread"),
    ("isolate_failures", "'true'"),
    ("checkpoint_interval", "0"),
    ("init_timeout", "259201"),
    ("mini_batch_error_threshold", "-2"),
    ("memory_limit", "2"),
    ("memory_limit", "2x"),
    ("memory_limit", "-2g"),
    ("memory_limit", "true"),
    ("on_bad_row", "ignore"),
    ("passthrough_columns", "some"),
    ("passthrough_columns", "[a, a]"),
    ("passthrough_columns", "['']"),
    ("passthrough_columns", "[1]"),
    ("passthrough_columns", "{a: b}"),
    ("keep_staging", "no"),
    ("spark_conf", "[spark.a]"),
    ("spark_conf", "{spark.a: {b: c}}"),
    ("environment_variables", "{A: }"),
    ("environment_variables", "{A: null}"),
    ("environment_variables", "{A: [1]}"),
    ("environment_variables", "{'': a}"),
    ("environment_variables", "{'A=B': a}"),
    ("environment_variables", "text"),
    ("retry_settings", "{max_retries: -1}"),
    ("retry_settings", "{timeout: 0}"),
    ("retry_settings", "{timeout: 259201}"),
    ("retry_settings", "3"),
    ("retry_settings", "null"),
]

ROOT_REFUSED = [
    ("name", "ab"),
    ("name", "1abc"),
    ("name", "abc-"),
    ("name", "a" * 33),
    ("name", "a_b_c"),
    ("name", "123"),
    ("endpoint_name", "''"),
    ("type", "pipeline"),
    ("type", "batch"),
    ("description", "[a]"),
    ("tags", "[a]"),
    ("tags", "{a: [b]}"),
    ("model", "./model"),
    ("model", "s3://bucket/model"),
    ("model", "azureml:name"),
    ("model", "5"),
    ("model", "[a]"),
    ("model", "{}"),
    ("model", "{path: ''}"),
    ("model", "{path: 5}"),
    ("model", "{path: a, type: triton_model}"),
    ("model", "{path: a, type: pickle}"),
    ("code_configuration", "src"),
    ("code_configuration", "{code: src}"),
    ("code_configuration", "{scoring_script: a.py}"),
    ("code_configuration", "{code: '', scoring_script: a.py}"),
    ("code_configuration", "{code: {local_path: a, b: c}, scoring_script: a.py}"),
    ("code_configuration", "{code: {}, scoring_script: a.py}"),
    *(
        ("code_configuration", f"{{code: src, scoring_script: {script!r}}}")
        for script in ("/a.py", "../a.py", "a/../../b.py", "a/", "", ".", "a\\b.py", "C:a.py", " a")
    ),
    ("environment", "5"),
    ("environment", "''"),
    ("environment", "{conda_file: 5}"),
    ("environment", "{os_type: mac}"),
    ("environment", "{build: Dockerfile}"),
    ("compute", "''"),
    ("compute", "5"),
    ("resources", "2"),
    ("resources", "{instance_count: 0}"),
    ("resources", "{instance_count: '2'}"),
    ("resources", "{locations: here}"),
]


@pytest.mark.parametrize("layout", ["flat", "nested"])
@pytest.mark.parametrize(("key", "written", "value"), ACCEPTED)
def test_setting__accepted(make_deployment, layout, key, written, value):
    text = f"{key}: {written}\n"
    loaded = make_deployment(text if layout == "flat" else f"settings:\n  {text}")
    assert getattr(loaded.spec.settings, key) == value


@pytest.mark.parametrize("layout", ["flat", "nested"])
@pytest.mark.parametrize(("key", "written"), REFUSED)
def test_setting__refused(make_error, deployment_file, layout, key, written):
    line = f"{key}: {written}\n"
    error = make_error(line if layout == "flat" else f"type: model\nsettings:\n  {line}")
    prefix, number = ("", 4) if layout == "flat" else ("settings.", 6)
    assert type(error) is InvalidFieldError
    assert error.attributes["file"] == str(deployment_file)
    assert error.attributes["line"] == number
    assert error.attributes["key"].startswith(prefix + key)
    assert error.message.startswith(f"{deployment_file}:{number}: {prefix}{key}")
    assert "\n" not in error.message


@pytest.mark.parametrize(("key", "written"), ROOT_REFUSED)
def test_root_key__refused(make_error, key, written):
    values = {"name": "abc", "endpoint_name": "digits", "model": "azureml:m:1", key: written}
    text = "".join(f"{name}: {value}\n" for name, value in values.items())
    error = make_error(text, alone=True)
    assert isinstance(error, InvalidFieldError) or key == "code_configuration"
    assert error.attributes["line"] == list(values).index(key) + 1
    assert error.attributes["key"].split(".")[0] == key


@pytest.mark.parametrize(
    "reference",
    [
        "azureml:mnist:1",
        "azureml:mnist@latest",
        "azureml://registries/azureml/models/t5/versions/4",
        "azureml:/subscriptions/0/resourceGroups/g/models/m/versions/1",
        "models:/mnist/3",
        "models:/mnist@champion",
        "runs:/0123456789abcdef/model",
    ],
)
def test_model__reference(make_deployment, reference):
    text = f"name: abc\nendpoint_name: digits\nmodel: {reference}\n"
    loaded = make_deployment(text, alone=True)
    assert loaded.spec.model == reference
    assert loaded.resolve(reference) == reference


def test_model__plain_path_says_how_to_write_it_inline(make_error):
    error = make_error("name: abc\nendpoint_name: digits\nmodel: ./m\n", alone=True)
    assert error.attributes["value"] == "./m"
    assert "model: {path: ./m}" in error.message


def test_model__inline_with_every_key(make_deployment):
    text = """\
name: abc
endpoint_name: digits
model:
  path: s3://bucket/m
  name: m
  version: 1.10
  type: mlflow_model
  description: 5
  tags: {a: 1}
  properties: {b: true}
  stage: Production
  flavors: {python_function: {loader_module: null}}
  datastore: azureml:store
"""
    loaded = make_deployment(text, alone=True)
    model = loaded.spec.model
    assert (model.version, model.type, model.description) == ("1.10", "mlflow_model", "5")
    assert (model.tags, model.properties) == ({"a": "1"}, {"b": "true"})
    assert model.flavors == {"python_function": {"loader_module": None}}
    assert loaded.resolve(model.path) == "s3://bucket/m"


def test_environment__inline_with_every_key(make_deployment):
    environment = make_deployment("""\
environment:
  name: e
  version: 2.0
  image: registry/image:1
  conda_file: {name: c, dependencies: [python=3.11, {pip: [pandas]}]}
  build: {path: docker, dockerfile_path: Dockerfile}
  os_type: linux
  description: d
  tags: {a: b}
  properties: {c: d}
  inference_config: {liveness_route: {port: 5001}}
""").spec.environment
    assert environment.version == "2.0"
    assert environment.conda_file["dependencies"] == ["python=3.11", {"pip": ["pandas"]}]
    assert environment.inference_config == {"liveness_route": {"port": 5001}}


def test_environment__reference(make_deployment):
    assert make_deployment("environment: azureml:e@latest").spec.environment == "azureml:e@latest"


def test_resources__every_key(make_deployment):
    resources = make_deployment("""\
resources:
  instance_count: 3
  instance_type: Standard_NC6
  properties: {singularity: {priority: 1}}
  locations: [westeurope]
  shm_size: 2g
  max_instance_count: 5
  docker_args: --ipc=host
""").spec.resources
    assert (resources.instance_count, resources.locations) == (3, ("westeurope",))


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("", None),
        ("max_concurrency_per_instance: 3", 3),
        ("resources: {instance_count: 2}", 2),
        ("resources: {instance_count: 1}", 1),
        ("resources: {instance_type: x}", None),
        ("resources: {instance_count: 2}\nmax_concurrency_per_instance: 3", 6),
        ("settings: {instance_count: 2, max_concurrency_per_instance: 4}", 8),
    ],
)
def test_slots__remember_what_was_given(make_deployment, text, slots):
    assert make_deployment(text).spec.slots == slots


@pytest.mark.parametrize("script", ["score.py", "sub/score.py", "./score.py"])
def test_scoring_script__inside_code(make_deployment, script):
    text = f"code_configuration: {{code: src, scoring_script: {script}}}"
    assert make_deployment(text).spec.code_configuration.scoring_script == script


@pytest.mark.parametrize(
    ("text", "format_", "name"),
    [
        ("output_file_name: scores.csv", "csv", "scores.csv"),
        ("output_file_name: scores.jsonl", "jsonl", "scores.jsonl"),
        ("output_file_name: scores.PARQUET", "parquet", "scores.PARQUET"),
        ("output_file_name: scores.delta", "delta", "scores.delta"),
        ("output_file_name: scores.txt", "csv", "scores.txt"),
        ("output_file_name: scores", "csv", "scores"),
        ("output_file_name: csv\noutput_format: parquet", "parquet", "csv"),
        ("output_format: jsonl", "jsonl", "predictions.jsonl"),
        ("output_format: parquet", "parquet", "predictions.parquet"),
        ("output_format: delta", "delta", ""),
        ("output_table: a.b", "delta", ""),
    ],
)
def test_output__format_and_file_name(make_deployment, text, format_, name):
    spec = make_deployment(text).spec
    assert (spec.output_format, spec.output_file_name) == (format_, name)
    settings = spec.record()["settings"]
    assert (settings["output_format"], settings["output_file_name"]) == (format_, name or None)


def test_record__summary_only_has_no_output_file(make_deployment):
    settings = make_deployment("output_action: summary_only").spec.record()["settings"]
    assert (settings["output_format"], settings["output_file_name"]) == (None, None)


def test_fields__have_descriptions():
    fields = list(iter_fields(DeploymentSpec))
    assert len(fields) > 60
    assert [field.path for field in fields if len(field.description) < 10] == []


@pytest.mark.parametrize(
    "junk", ["5", "-7", "1.5", "true", "text", "[a]", "[[1]]", "{a: b}", "{a: {b: 1}}", "''"]
)
def test_fields__junk_is_explained_in_our_words(make_deployment, junk):
    for field in iter_fields(DeploymentSpec):
        override = f"{'.'.join(field.path)}={junk}"
        try:
            make_deployment("", override)
        except InvalidFieldError as error:
            message = error.message
        except ValueError as error:
            message = str(error)
        else:
            continue
        assert not any(
            words in message.lower() for words in ("input should", "as described", "valid ")
        )
