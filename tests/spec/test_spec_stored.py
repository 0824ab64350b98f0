"""Stored documents and changes to them: ``--set``, ``--add``, ``--remove``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkscore.errors import InvalidFieldError, MalformedDocumentError, UnknownFieldError
from sparkscore.spec import (
    BatchEndpointSpec,
    DeploymentSpec,
    InlineModel,
    load_deployment,
    load_document,
)

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.yml"))
BASE: dict[str, Any] = {"name": "heart-v1", "endpoint_name": "heart", "model": "azureml:m:1"}
STORED = {
    **BASE,
    "type": "model",
    "tags": {"team": "a", "year": "2021"},
    "resources": {"instance_count": 2, "locations": ["west", "north"]},
    "settings": {"mini_batch_size": 5, "passthrough_columns": ["a", "b"]},
}


def change(**keywords: Any) -> DeploymentSpec:
    return load_deployment(STORED, **keywords).spec


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_deployment__loads_again_from_what_it_stores(path):
    spec = load_deployment(path, overrides=[f"{key}={value}" for key, value in BASE.items()]).spec
    document = spec.to_document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert load_deployment(document).spec == spec
    assert load_deployment(document).spec.to_document() == document


@pytest.mark.parametrize("text", ["a\0", "\udc80"])
def test_text__that_no_store_keeps_is_refused(text):
    for flags in (
        {"description": text},
        {"tags": {text: "a"}},
        {"resources.properties": {"a": text}},
    ):
        with pytest.raises(InvalidFieldError) as caught:
            load_deployment(BASE, flags=flags)
        assert json.dumps(caught.value.attributes)
        assert caught.value.message.isprintable()


def test_to_document__keeps_nulls_of_the_users_own():
    flavors: dict[str, Any] = {"python_function": {"env": None, "code": []}}
    spec = load_deployment({**BASE, "model": {"path": "m", "flavors": flavors}}).spec
    document = spec.to_document()
    assert document["model"]["flavors"] == flavors
    assert "description" not in document
    assert load_deployment(document).spec == spec


def test_stored__null_of_a_field_is_not_given():
    spec = load_deployment({**BASE, "description": None, "settings": {"output_format": None}}).spec
    assert (spec.description, spec.settings.output_format) == (None, None)


def test_stored__places_name_the_document():
    loaded = load_deployment(STORED)
    assert (loaded.source, loaded.file) == ("deployment heart-v1", None)
    assert loaded.folder == Path.cwd()
    assert loaded.resolve("code") == str(Path.cwd() / "code")
    assert str(loaded.get_place("settings.mini_batch_size")) == "deployment heart-v1"
    error = loaded.error("model", message="is gone")
    assert error.message == "deployment heart-v1: model is gone"
    assert error.attributes["file"] == "deployment heart-v1"


def test_stored__errors_name_the_source():
    with pytest.raises(InvalidFieldError) as caught:
        load_deployment({**BASE, "settings": {"mini_batch_size": 0}}, source_name="somewhere")
    assert caught.value.message.startswith("somewhere: settings.mini_batch_size must be ")
    assert (caught.value.attributes["file"], caught.value.attributes["line"]) == ("somewhere", None)


def test_stored__required_keys_are_checked_after_changes():
    with pytest.raises(InvalidFieldError) as caught:
        change(overrides=["model=null"])
    assert caught.value.condition == "MISSING_FIELD"
    spec = load_deployment({}, overrides=["model=azureml:m:2"], flags={**BASE, "model": None}).spec
    assert (spec.name, spec.model) == ("heart-v1", "azureml:m:2")


def test_nothing__flags_alone_are_enough():
    loaded = load_document(BatchEndpointSpec, None, flags={"name": "heart"})
    assert loaded.spec.name == "heart"
    assert (loaded.source, loaded.file) == ("command line", None)
    with pytest.raises(InvalidFieldError) as caught:
        load_document(BatchEndpointSpec, None)
    assert (caught.value.condition, caught.value.attributes["key"]) == ("MISSING_FIELD", "name")


def test_set__on_a_stored_document_takes_every_form():
    spec = change(overrides=["timeout=7", "settings.mini_batch_size=9", "instance_count=4"])
    assert spec.settings.retry_settings.timeout == 7
    assert (spec.settings.mini_batch_size, spec.instance_count) == (9, 4)
    assert change(overrides=["model.path=./b"]).model == InlineModel(path="./b")


def test_set__instance_count_stays_where_it_was_stored():
    stored = {**BASE, "settings": {"instance_count": 2}}
    spec = load_deployment(stored, overrides=["instance_count=4"]).spec
    assert (spec.settings.instance_count, spec.resources) == (4, None)


@pytest.mark.parametrize(
    ("value", "text"), [("1.10", "1.10"), ("true", "true"), ("[a]", "[a]"), ("null", "null")]
)
def test_force_string__keeps_text(value, text):
    spec = change(overrides=[f"description={value}"], force_string=True)
    assert spec.description == text


def test_force_string__is_wrong_for_numbers():
    with pytest.raises(InvalidFieldError) as caught:
        change(overrides=["mini_batch_size=5"], force_string=True)
    assert caught.value.attributes["value"] == "5"


ADDED = [
    ("tags.team=b", ("tags",), {"team": "b", "year": "2021"}),
    (["tags.city=x"], ("tags",), {"team": "a", "year": "2021", "city": "x"}),
    (["tags", "city=x", "b=1"], ("tags",), {"team": "a", "year": "2021", "city": "x", "b": "1"}),
    (["properties", "a=b"], ("properties",), {"a": "b"}),
    (["resources.locations", "east"], ("resources", "locations"), ("west", "north", "east")),
    (["resources.locations", "a", "b"], ("resources", "locations"), ("west", "north", "a", "b")),
    (["resources.locations=east"], ("resources", "locations"), ("west", "north", "east")),
    (["passthrough_columns", "c"], ("settings", "passthrough_columns"), ("a", "b", "c")),
    (["settings.passthrough_columns", "c"], ("settings", "passthrough_columns"), ("a", "b", "c")),
    (["description=new"], ("description",), "new"),
    (["spark_conf", "spark.a=1"], ("settings", "spark_conf"), {"spark.a": "1"}),
]


@pytest.mark.parametrize(("addition", "path", "value"), ADDED)
def test_add__reaches_lists_and_maps(addition, path, value):
    found: Any = change(additions=[addition])
    for name in path:
        found = getattr(found, name)
    assert found == value


REMOVED = [
    ("tags.team", ("tags",), {"year": "2021"}),
    (["tags"], ("tags",), {}),
    (["resources.locations", "0"], ("resources", "locations"), ("north",)),
    (["resources.locations", "1"], ("resources", "locations"), ("west",)),
    (["resources.locations"], ("resources", "locations"), ()),
    (["mini_batch_size"], ("settings", "mini_batch_size"), 10),
    (["settings.mini_batch_size"], ("settings", "mini_batch_size"), 10),
    (["description"], ("description",), None),
]


@pytest.mark.parametrize(("removal", "path", "value"), REMOVED)
def test_remove__takes_keys_and_items_away(removal, path, value):
    found: Any = change(removals=[removal])
    for name in path:
        found = getattr(found, name)
    assert found == value


def test_changes__are_made_in_their_order():
    spec = change(
        overrides=["tags.team=set"], additions=["tags.team=added"], removals=["tags.year"]
    )
    assert spec.tags == {"team": "added"}
    assert change(removals=["description"], flags={"description": "a"}).description == "a"


@pytest.mark.parametrize(
    ("keywords", "kind", "key", "nearest"),
    [
        ({"additions": ["tgas.a=b"]}, UnknownFieldError, "tgas.a", None),
        ({"additions": [["tgas", "a=b"]]}, UnknownFieldError, "tgas", "tags"),
        ({"additions": ["tags"]}, InvalidFieldError, "tags", None),
        ({"additions": [["tags", "a"]]}, InvalidFieldError, "tags.a", None),
        ({"additions": [["settings", "a=b"]]}, InvalidFieldError, "settings", None),
        ({"additions": [["mini_batch_size", "3"]]}, InvalidFieldError, "mini_batch_size", None),
        (
            {"additions": [["resources.locations", "[a"]]},
            MalformedDocumentError,
            "resources.locations[2]",
            None,
        ),
        ({"removals": ["tags.taem"]}, UnknownFieldError, "tags.taem", "tags.team"),
        ({"removals": ["descripton"]}, UnknownFieldError, "descripton", "description"),
        (
            {"removals": [["resources.locations", "2"]]},
            InvalidFieldError,
            "resources.locations",
            None,
        ),
        ({"removals": [["tags", "0"]]}, InvalidFieldError, "tags", None),
    ],
)
def test_change__refused_names_flag_and_key(keywords, kind, key, nearest):
    with pytest.raises((InvalidFieldError, UnknownFieldError, MalformedDocumentError)) as caught:
        change(**keywords)
    flag = "--add" if "additions" in keywords else "--remove"
    assert type(caught.value) is kind
    assert caught.value.message.startswith((f"{flag}: ", "deployment heart-v1: "))
    assert caught.value.attributes["key"] == key
    assert caught.value.attributes.get("nearest") == nearest


def test_remove__default_deployment():
    stored = {"name": "heart", "defaults": {"deployment_name": "heart-v1"}}
    spec = load_document(BatchEndpointSpec, stored, removals=["defaults.deployment_name"]).spec
    assert spec.defaults.deployment_name is None


def test_set__refused_key_says_what_to_write():
    with pytest.raises(InvalidFieldError) as caught:
        load_document(BatchEndpointSpec, {"name": "heart"}, overrides=["traffic.a=100"])
    assert caught.value.attributes["key"] == "traffic.a"
    assert "deployment_name" in caught.value.message


names = st.from_regex(r"[A-Za-z][A-Za-z0-9]{2,9}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | texts | st.floats(allow_nan=False, width=16)
free = st.dictionaries(texts, scalars.filter(lambda x: x not in (float("inf"), -float("inf"))))
documents = st.fixed_dictionaries(
    {"name": names, "endpoint_name": names},
    optional={
        "description": texts,
        "tags": st.dictionaries(texts, texts, max_size=2),
        "compute": names,
        "resources": st.fixed_dictionaries(
            {}, optional={"instance_count": st.integers(1, 9), "properties": free}
        ),
        "environment": st.fixed_dictionaries({"image": names}, optional={"conda_file": free}),
        "settings": st.fixed_dictionaries(
            {},
            optional={
                "mini_batch_size": st.integers(1, 2**31 - 1),
                "output_format": st.sampled_from(["csv", "jsonl", "parquet", "delta"]),
                "output_schema": st.just({"a": "Long", "b": "decimal(9, 2)"}),
                "memory_limit": st.sampled_from(["2g", "512 MiB", 2**30]),
                "logging_level": st.sampled_from(["INFO", "Debug"]),
                "passthrough_columns": st.just("all") | st.just(["a", "b"]),
                "environment_variables": st.dictionaries(names, texts, max_size=2),
                "retry_settings": st.fixed_dictionaries({"timeout": st.integers(1, 99)}),
            },
        ),
    },
)
models = st.just("azureml:m:1") | st.fixed_dictionaries(
    {"path": names}, optional={"flavors": free, "type": st.just("mlflow_model"), "version": texts}
)


@given(document=documents, model=models)
@settings(max_examples=80, deadline=None)
def test_deployment__any_valid_one_survives_storage(document, model):
    spec = load_deployment({**document, "model": model}).spec
    stored = json.loads(json.dumps(spec.to_document(), allow_nan=False))
    again = load_deployment(stored).spec
    assert again == spec
    assert again.to_document() == stored
