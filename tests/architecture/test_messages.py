"""Every message: through JSON and back, and never in from anything else."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkscore import messages
from sparkscore.errors import MessageError
from sparkscore.messages.codec import PROTOCOL_VERSION, from_json, to_json


def find_kinds() -> list[type]:
    """Every dataclass in a module of ``sparkscore.messages``."""
    names = [module.name for module in pkgutil.iter_modules(messages.__path__)]
    modules = [importlib.import_module(f"sparkscore.messages.{name}") for name in names]
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and dataclasses.is_dataclass(value)
        and value.__module__ == module.__name__
    ]


KINDS = find_kinds()
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)


def mappings(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.text(), values, max_size=3)


def tuples(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=3).map(tuple)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(),
    "float": NUMBERS,
    "bool": st.booleans(),
    "str": st.text(),
    "dict[str, str]": mappings(st.text()),
    "dict[str, int]": mappings(st.integers()),
    "dict[str, float]": mappings(NUMBERS),
    "dict[str, Any]": mappings(JSON_VALUES),
    "tuple[str, ...]": tuples(st.text()),
    "tuple[dict[str, Any], ...]": tuples(mappings(JSON_VALUES)),
}

WRONG: dict[str, list[Any]] = {
    "int": ["1", 1.5, True, [1], None],
    "float": ["1.0", False, [], None],
    "bool": [0, "true", None],
    "str": [1, ["a"], {"a": "b"}, None],
    "dict[str, str]": [{"a": 1}, [], "a", None],
    "dict[str, int]": [{"a": "1"}, {"a": True}, [], None],
    "dict[str, float]": [{"a": "1"}, [], None],
    "dict[str, Any]": [[], "a", 1, None],
    "tuple[str, ...]": ["abc", [1], {}, None],
    "tuple[dict[str, Any], ...]": [["a"], {}, "a", None],
}


def values_of(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    annotation = str(field.type)
    optional = annotation.endswith(" | None")
    if "message" in field.metadata:
        values = messages_of(field.metadata["message"])
    elif "items" in field.metadata:
        values = tuples(messages_of(field.metadata["items"]))
    else:
        values = VALUES[annotation.removesuffix(" | None")]
    return st.none() | values if optional else values


def messages_of(kind: type) -> st.SearchStrategy[Any]:
    fields = {field.name: values_of(field) for field in dataclasses.fields(kind)}
    return st.builds(kind, **fields)


def make_content(kind: type, data: st.DataObject) -> dict[str, Any]:
    content = json.loads(to_json(data.draw(messages_of(kind))))
    assert isinstance(content, dict)
    return content


def test_kinds__are_found() -> None:
    names = {kind.__name__ for kind in KINDS}
    assert names >= {"LaunchMessage", "MiniBatch", "MiniBatchOutcome", "SummaryMessage"}


@EVERY_KIND
@given(data=st.data())
def test_message__survives_json(kind: type, data: st.DataObject) -> None:
    message = data.draw(messages_of(kind))
    assert from_json(kind, to_json(message), where="here") == message
    assert from_json(kind, to_json(message, indent=2).encode(), where="here") == message


@EVERY_KIND
def test_message__is_frozen(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


@EVERY_KIND
@given(data=st.data())
def test_message__field_of_wrong_type(kind: type, data: st.DataObject) -> None:
    content = make_content(kind, data)
    field = data.draw(st.sampled_from(dataclasses.fields(kind)))
    annotation = str(field.type)
    nested = {"message", "items"} & set(field.metadata)
    wrong: list[Any] = ["a", 1, None] if nested else WRONG[annotation.removesuffix(" | None")]
    allowed_none = annotation.endswith(" | None")
    content[field.name] = data.draw(
        st.sampled_from([value for value in wrong if value is not None or not allowed_none])
    )
    with pytest.raises(MessageError) as caught:
        from_json(kind, json.dumps(content), where="launch.json")
    assert caught.value.condition == "UNREADABLE_MESSAGE"
    assert caught.value.attributes["where"].startswith("launch.json")


@EVERY_KIND
@given(data=st.data())
def test_message__unknown_field(kind: type, data: st.DataObject) -> None:
    content = {**make_content(kind, data), "surplus": 1}
    with pytest.raises(MessageError, match="surplus"):
        from_json(kind, json.dumps(content), where="here")


@EVERY_KIND
@given(data=st.data())
def test_message__missing_field(kind: type, data: st.DataObject) -> None:
    content = make_content(kind, data)
    field = data.draw(st.sampled_from(dataclasses.fields(kind)))
    del content[field.name]
    if is_required(field):
        with pytest.raises(MessageError, match=field.name):
            from_json(kind, json.dumps(content), where="here")
    else:
        assert isinstance(from_json(kind, json.dumps(content), where="here"), kind)


def is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


@EVERY_KIND
@pytest.mark.parametrize("protocol", [0, PROTOCOL_VERSION + 1, str(PROTOCOL_VERSION), None, []])
@settings(max_examples=5)
@given(data=st.data())
def test_message__other_protocol(kind: type, protocol: Any, data: st.DataObject) -> None:
    content = {**make_content(kind, data), "protocol": protocol}
    with pytest.raises(MessageError) as caught:
        from_json(kind, json.dumps(content), where="here")
    assert caught.value.attributes == {"where": "here", "protocol": str(protocol)}


@EVERY_KIND
@given(text=st.binary() | st.text() | JSON_VALUES.map(json.dumps))
def test_message__from_anything(kind: type, text: str | bytes) -> None:
    with pytest.raises(MessageError):
        from_json(kind, text, where="here")
