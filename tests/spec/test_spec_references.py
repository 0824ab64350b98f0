"""References: every form, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import InvalidFieldError
from sparkscore.spec import (
    AssetReference,
    DatastorePath,
    Location,
    MlflowReference,
    find_closest,
    parse_asset,
    parse_compute,
    parse_data,
    parse_datastore,
    parse_model,
    parse_output,
)

ARM = "/subscriptions/0/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
LONG = "azureml://subscriptions/0/resourcegroups/g/workspaces/w"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("azureml:digits:1", AssetReference("digits", "1")),
        ("azureml:digits:1.10-rc_2", AssetReference("digits", "1.10-rc_2")),
        ("azureml:digits@latest", AssetReference("digits", label="latest")),
        (f"azureml:{ARM}/models/digits/versions/3", AssetReference("digits", "3")),
        (f"{ARM}/models/digits/versions/3", AssetReference("digits", "3")),
        (f"{ARM}/models/digits/labels/latest", AssetReference("digits", label="latest")),
        (f"{LONG}/models/digits/versions/3", AssetReference("digits", "3")),
        (
            "azureml://locations/westeurope/workspaces/w/models/digits/versions/3",
            AssetReference("digits", "3"),
        ),
        (f"azureml:{ARM}/models/models/versions/versions", AssetReference("models", "versions")),
    ],
)
def test_asset__every_form(text, reference):
    assert parse_asset(text, kind="model") == reference
    assert parse_model(text) == reference


@pytest.mark.parametrize("kind", ["model", "environment", "data", "code"])
def test_asset__long_form_tells_the_kind(kind):
    segment = {"data": "data", "code": "codes"}.get(kind, f"{kind}s")
    text = f"azureml:{ARM}/{segment}/a/versions/1"
    assert parse_asset(text, kind=kind) == AssetReference("a", "1")
    with pytest.raises(InvalidFieldError) as caught:
        parse_asset(text, kind="environment" if kind != "environment" else "model")
    assert caught.value.condition == "INVALID_REFERENCE"


def test_data__2021_long_form():
    assert parse_data(f"{ARM}/datasets/a/versions/1")[1] == AssetReference("a", "1")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("azureml://datastores/ds/paths/a/b.csv", DatastorePath("ds", "a/b.csv")),
        ("azureml://datastores/ds/paths/a/", DatastorePath("ds", "a/")),
        ("azureml://datastores/ds/paths//a", DatastorePath("ds", "a")),
        ("azureml://datastores/ds/paths/", DatastorePath("ds", "")),
        ("azureml://datastores/ds/paths", DatastorePath("ds", "")),
        ("azureml://datastores/ds", DatastorePath("ds", "")),
        ("azureml://datastores/ds/paths/a/**/*.png", DatastorePath("ds", "a/**/*.png")),
        (
            "azureml://datastores/ds/paths/datastores/x/paths/y",
            DatastorePath("ds", "datastores/x/paths/y"),
        ),
        (f"{LONG}/datastores/ds/paths/a b", DatastorePath("ds", "a b")),
        (f"azureml:{ARM}/datastores/ds/paths/a", DatastorePath("ds", "a")),
        ("https://a.blob.core.windows.net/c/p", Location("https://a.blob.core.windows.net/c/p")),
        ("s3://b/datastores/x/paths/y", Location("s3://b/datastores/x/paths/y")),
        ("./images", Location("./images")),
        ("data/a/versions/1", Location("data/a/versions/1")),
        ("file:///tmp/a", Location("file:///tmp/a")),
        ("C:/images", Location("C:/images")),
    ],
)
def test_place__every_form(text, place):
    assert parse_data(text) == (None, place)
    assert parse_output(text) == (None, place)
    assert parse_model(text) == place


@pytest.mark.parametrize(
    ("text", "type_", "place"),
    [
        (
            "folder:azureml://datastores/ds/paths/a",
            "uri_folder",
            DatastorePath("ds", "a"),
        ),
        ("file:azureml://datastores/ds/paths/a", "uri_file", DatastorePath("ds", "a")),
        ("folder:https://a/b", "uri_folder", Location("https://a/b")),
        ("file:/tmp/a.csv", "uri_file", Location("/tmp/a.csv")),
        ("folder:./a", "uri_folder", Location("./a")),
    ],
)
def test_prefix__gives_the_type(text, type_, place):
    assert parse_data(text) == (type_, place)
    assert parse_output(text) == (type_, place)


@pytest.mark.parametrize(
    "text", ["models:/digits/3", "models:/digits@champion", "runs:/0a1b/model", "runs:/0a1b/a/b"]
)
def test_model__mlflow_forms(text):
    assert parse_model(text) == MlflowReference(text)


@pytest.mark.parametrize(
    "text",
    ["azureml:cluster", "cluster", f"{ARM}/computes/cluster", f"azureml:{ARM}/computes/cluster"],
)
def test_compute__every_form(text):
    assert parse_compute(text) == "cluster"
    assert parse_datastore(text.replace("computes", "datastores")) == "cluster"


REFUSED = [
    (parse_model, "azureml:digits"),
    (parse_model, "azureml:digits:1:2"),
    (parse_model, "azureml:digits@champion"),
    (parse_model, "azureml:"),
    (parse_model, "azureml:.a:1"),
    (parse_model, "azureml:a b:1"),
    (parse_model, f"azureml:{'a' * 256}:1"),
    (parse_model, "azureml://registries/azureml/models/t5/versions/4"),
    (parse_model, "azureml://jobs/j/outputs/o"),
    (parse_model, f"azureml:{ARM}/models/digits"),
    (parse_model, "models:/digits"),
    (parse_model, "models:digits/1"),
    (parse_model, "runs:/0a1b"),
    (parse_model, ""),
    (parse_data, "azureml:images"),
    (parse_data, "folder:"),
    (parse_data, "folder:azureml:images"),
    (parse_data, "azureml://datastores/ds/paths/../a"),
    (parse_data, "azureml://datastores/"),
    (parse_data, " "),
    (parse_output, "azureml:images:1"),
    (parse_compute, "azureml:cluster:1"),
    (parse_compute, "spark://a:7077"),
    (parse_compute, ""),
    (parse_compute, f"{ARM}/models/digits/versions/1"),
    (parse_datastore, "azureml://datastores/ds/paths/a"),
]


@pytest.mark.parametrize(("parse", "text"), REFUSED)
def test_refused__names_the_text(parse, text):
    with pytest.raises(InvalidFieldError) as caught:
        parse(text)
    assert caught.value.condition == "INVALID_REFERENCE"
    assert caught.value.attributes == {"reference": text.removeprefix("folder:") or text}
    assert ": write " in caught.value.message


assets = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)
paths = st.lists(st.from_regex(r"[a-z *?%]{1,4}", fullmatch=True), min_size=1).map("/".join)


@given(assets, assets)
def test_reference__reads_what_it_writes(name, version):
    for reference in (AssetReference(name, version), AssetReference(name, label="latest")):
        assert parse_asset(str(reference), kind="data") == reference
    assert parse_compute(str(AssetReference(name))) == name


@given(assets, paths)
def test_datastore_path__reads_what_it_writes(datastore, path):
    place = DatastorePath(datastore, path)
    assert parse_data(str(place)) == (None, place)


@given(st.text(max_size=30), st.sampled_from(["", "azureml:", "azureml://", "folder:", ARM]))
def test_parse__anything_gives_a_reference_or_an_error(text, prefix):
    for parse in (parse_model, parse_data, parse_output, parse_compute, parse_datastore):
        try:
            parse(prefix + text)
        except InvalidFieldError as error:
            assert error.condition == "INVALID_REFERENCE"
            assert "\n" not in error.message


@pytest.mark.parametrize(
    ("name", "known", "closest"),
    [
        ("digts", ["flights", "digits"], "digits"),
        ("DIGITS", ["digits"], "digits"),
        ("my_ds", ["my-ds", "my-data"], "my-ds"),
        ("zzz", ["digits"], None),
        ("digits", [], None),
    ],
)
def test_find_closest__examples(name, known, closest):
    assert find_closest(name, known) == closest
