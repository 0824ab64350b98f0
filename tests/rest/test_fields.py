"""Values in the words of the reference, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.errors import InvalidFieldError, UnknownFieldError
from sparkscore.rest.datastore_paths import find_datastore_path, settle_uri
from sparkscore.rest.environment_bodies import read_environment
from sparkscore.rest.fields import Fields, as_number, render_duration, to_camel, to_pascal, to_snake
from sparkscore.rest.ids import Place, read_asset_id, read_bare_id
from sparkscore.rest.rights import iter_harmful
from sparkscore.rest.v1.files import find_span
from sparkscore.spec import SettingsSpec

LONG = (
    "/subscriptions/5b1c/resourceGroups/team/providers/Microsoft.MachineLearningServices"
    "/workspaces/ws"
)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("PT30S", 30),
        ("pt1m30s", 90),
        ("PT1H", 3600),
        ("P1DT1S", 86_401),
        ("P2D", 172_800),
        ("PT2.0S", 2),
        ("30", 30),
        (30, 30),
        (None, None),
    ],
)
def test_seconds__of_durations(value: object, seconds: int | None) -> None:
    assert Fields({"timeout": value}).take_seconds("timeout") == seconds


@pytest.mark.parametrize("value", ["P", "PT", "P1", "1m", "PT1.5S", "P1M", "soon", ""])
def test_seconds__that_are_none(value: str) -> None:
    with pytest.raises(InvalidFieldError):
        Fields({"timeout": value}).take_seconds("timeout")


@given(st.integers(0, 10**6))
def test_seconds__come_back_as_they_were_rendered(seconds: int) -> None:
    assert Fields({"t": render_duration(seconds)}).take_seconds("t") == seconds


@pytest.mark.parametrize(
    ("value", "number"),
    [("10", 10), (" -1 ", -1), ("+3", 3), ("1.5", "1.5"), ("", ""), (True, True), ("1e3", "1e3")],
)
def test_numbers__in_texts(value: object, number: object) -> None:
    found = as_number(value)
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize(
    ("word", "snake"),
    [
        ("UriFolder", "uri_folder"),
        ("uri_folder", "uri_folder"),
        ("MLFlowModel", "mlflow_model"),
        ("CustomModel", "custom_model"),
        ("MLTable", "mltable"),
        ("AppendRow", "append_row"),
        ("AzureDataLakeGen2", "azure_data_lake_gen2"),
        ("INFO", "info"),
    ],
)
def test_words__as_yaml_files_have_them(word: str, snake: str) -> None:
    assert to_snake(word) == snake


@pytest.mark.parametrize("name", sorted(SettingsSpec.model_fields))
def test_settings__keep_their_names_there_and_back(name: str) -> None:
    assert to_snake(to_camel(name)) == name


@given(st.lists(st.text("abcdefgh", min_size=2), min_size=1))
def test_words__come_back(parts: list[str]) -> None:
    word = "_".join(parts)
    assert to_snake(to_pascal(word)) == word


def test_fields__are_read_in_any_case_and_once() -> None:
    fields = Fields({"MiniBatchSize": 3, "other": {"a": 1}}, "properties")
    assert (fields.take("miniBatchSize"), fields.take("miniBatchSize")) == (3, None)
    with pytest.raises(UnknownFieldError) as caught:
        fields.refuse_rest()
    assert caught.value.attributes["key"] == "properties.other"


def test_fields__that_stand_twice() -> None:
    with pytest.raises(InvalidFieldError):
        Fields({"Path": "a", "path": "b"})


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (f"{LONG}/models/m/versions/1", "azureml:m:1"),
        ("/workspaces/ws/codes/c/versions/2", "azureml:c:2"),
        ("/workspaces/ws/data/d/labels/latest", "azureml:d@latest"),
        (f"{LONG}/datastores/store/paths/a/b", "azureml://datastores/store/paths/a/b"),
        ("azureml:m:1", "azureml:m:1"),
        ("/workspaces/ws/models/m", "/workspaces/ws/models/m"),
        ("s3://b/models/m/versions/1", "s3://b/models/m/versions/1"),
        ("/home/workspaces/ws/models/m/versions/1", "/home/workspaces/ws/models/m/versions/1"),
    ],
)
def test_asset_ids(text: str, reference: str) -> None:
    assert read_asset_id(text) == reference


def test_bare_ids() -> None:
    for text in (f"{LONG}/computes/cpu", "/workspaces/ws/computes/cpu", "azureml:cpu", "cpu"):
        assert read_bare_id(text) == "cpu"


def test_places__ids_of_references() -> None:
    place = Place("http://host", "/workspaces/ws")
    assert place.asset_id("models", "azureml:m:1") == "/workspaces/ws/models/m/versions/1"
    assert place.asset_id("models", "runs:/1/model") == "runs:/1/model"
    assert place.compute_id("azureml:cpu") == "/workspaces/ws/computes/cpu"
    assert place.compute_id("local[2]") == "local[2]"


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=5-", (5, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=99-200", (99, 100)),
        ("bytes=100-", (100, 100)),
        ("bytes=-0", (100, 100)),
        ("bytes=9-5", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
    ],
)
def test_spans(header: str | None, span: tuple[int, int] | None) -> None:
    assert find_span(header, 100) == span


@pytest.mark.parametrize(
    ("text", "is_harmful"),
    [
        ("mini_batch_size=3", False),
        ("settings.mini_batch_size=3", False),
        ("retry_settings.timeout=3", False),
        ("timeout=3", False),
        ("resources.instance_count=3", False),
        ("tags.a=b", False),
        ("resources.instance_type=x", True),
        ("environment_variables.LD_PRELOAD=x", True),
        ("settings.environment_variables.A=x", True),
        ("isolation=inline", True),
        ("memory_limit=1g", True),
        ("model=azureml:x:1", True),
        (" isolation =inline", True),
        ("settings.settings.isolation=inline", True),
    ],
)
def test_overrides__that_need_a_contributor(text: str, is_harmful: bool) -> None:
    assert bool(list(iter_harmful([text]))) == is_harmful


class _Store:
    """What is asked of a datastore here."""

    def __init__(self, name: str, uri: str, **options: str) -> None:
        self.name, self.uri, self.options = name, uri, options


class _Workspace:
    def __init__(self, *stores: _Store) -> None:
        self.datastores = self
        self._stores = stores

    def list(self) -> tuple[_Store, ...]:
        return self._stores


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("https://acc.blob.core.windows.net/box/score", ("all", "score")),
        ("https://acc.blob.core.windows.net/box", ("all", "")),
        ("https://acc.blob.core.windows.net/box/team/a/b", ("team", "a/b")),
        ("https://acc.blob.core.windows.net/box/teams/a", ("all", "teams/a")),
        ("https://acc.blob.core.windows.net/other/a", None),
        ("https://other.blob.core.windows.net/box/a", None),
        ("http://127.0.0.1:10000/acc/far/a", ("near", "a")),
        ("abfss://box@acc.dfs.core.windows.net/a", ("all", "a")),
        ("https://example.org/box/a", None),
        ("/data/a", ("disk", "a")),
        ("/database/a", None),
    ],
)
def test_datastore_paths(uri: str, found: tuple[str, str] | None) -> None:
    workspace: Any = _Workspace(
        _Store("all", "wasbs://box@acc.blob.core.windows.net"),
        _Store("team", "abfss://box@acc.dfs.core.windows.net/team"),
        _Store("near", "az://far", endpoint="http://127.0.0.1:10000/acc", account_name="acc"),
        _Store("disk", "/data"),
    )
    assert find_datastore_path(workspace, uri) == found
    if found is not None and uri.startswith("http"):
        assert settle_uri(workspace, uri) == f"azureml://datastores/{found[0]}/paths/{found[1]}"
    assert settle_uri(workspace, f"{uri}?sig=x") == f"{uri}?sig=x"


def test_environment__conda_file_of_any_form() -> None:
    for conda in ('{"name": "a"}', "name: a", {"name": "a"}):
        body = {"properties": {"condaFile": conda}}
        assert read_environment(body, name="e", version="1")["conda_file"] == {"name": "a"}
