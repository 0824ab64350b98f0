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
from sparkscore.messages.launch import ACTIONS, FORMATS, ISOLATIONS
from sparkscore.messages.status import FINALIZING, RUNNING, STARTING, TERMINAL, EventMessage


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

INTEGERS = st.integers(-(2**63), 2**64 - 1)
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
    "int": INTEGERS,
    "float": NUMBERS,
    "bool": st.booleans(),
    "str": st.text(),
    "dict[str, str]": mappings(st.text()),
    "dict[str, int]": mappings(INTEGERS),
    "dict[str, float]": mappings(NUMBERS),
    "dict[str, Any]": mappings(JSON_VALUES),
    "tuple[str, ...]": tuples(st.text()),
    "tuple[dict[str, Any], ...]": tuples(mappings(JSON_VALUES)),
}

PATHS = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
ERRORS = st.fixed_dictionaries(
    {"condition": st.text(), "message": st.text(), "exit_code": INTEGERS},
    optional={"text": JSON_VALUES},
)
OUTPUTS = st.fixed_dictionaries({"path": st.text(), "format": st.text()})

LIMITED: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("InputMessage", "uri"): PATHS,
    ("InputMessage", "list_file"): st.none() | st.from_regex(r"[a-z]{1,9}\.jsonl", fullmatch=True),
    ("OutputMessage", "path"): PATHS,
    ("OutputMessage", "action"): st.sampled_from(ACTIONS),
    ("OutputMessage", "format"): st.sampled_from(FORMATS),
    ("EnvironmentMessage", "python"): st.from_regex(r"/[a-z]{1,9}/python3", fullmatch=True),
    ("ScoringMessage", "isolation"): st.sampled_from(ISOLATIONS),
    ("ScoringMessage", "model_folder"): PATHS,
    ("ScoringMessage", "code_folder"): st.none() | PATHS,
    ("ScoringMessage", "mini_batch_size"): st.integers(1, 2**63),
    ("ScoringMessage", "timeout_seconds"): st.integers(1, 2**63),
    ("ScoringMessage", "init_timeout_seconds"): st.integers(1, 2**63),
    ("LaunchMessage", "job_folder"): PATHS,
    ("StagedFile", "name"): st.from_regex(r"part-\d{1,5}\.parquet", fullmatch=True),
    ("StagedFile", "first"): st.integers(0, 2**31),
    ("StagedFile", "stop"): st.integers(2**31 + 1, 2**32),
    ("StatusMessage", "status"): st.sampled_from([STARTING, RUNNING, FINALIZING, *TERMINAL]),
    ("SummaryMessage", "status"): st.sampled_from(TERMINAL),
    ("SummaryMessage", "error"): st.none() | ERRORS,
    ("SummaryMessage", "output"): st.none() | OUTPUTS,
}
"""Fields of which a class refuses some values; see its ``find_problem``."""

WRONG: dict[str, list[Any]] = {
    "int": ["1", 1.5, True, [1], None, 2**64, -(2**63) - 1],
    "float": ["1.0", False, [], None, 10**400],
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
    fields.update({name: values for (of, name), values in LIMITED.items() if of == kind.__name__})
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


REFUSED = [
    ("LaunchMessage", {"job_folder": "a\0b"}),
    ("StagedFile", {"name": "../../a"}),
    ("StagedFile", {"name": ".."}),
    ("StagedFile", {"first": 5, "stop": 5}),
    ("StatusMessage", {"status": "Sleeping"}),
    ("SummaryMessage", {"status": "Running"}),
    ("SummaryMessage", {"error": {"condition": "X", "message": "y"}}),
    ("SummaryMessage", {"output": {"path": 5, "format": "csv"}}),
]


@pytest.mark.parametrize(("name", "change"), REFUSED, ids=str)
@settings(max_examples=3)
@given(data=st.data())
def test_message__value_that_nobody_writes(
    name: str, change: dict[str, Any], data: st.DataObject
) -> None:
    (kind,) = [kind for kind in KINDS if kind.__name__ == name]
    content = {**make_content(kind, data), **change}
    with pytest.raises(MessageError, match=name):
        from_json(kind, json.dumps(content), where="here")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", r'"\ud800"', "1" * 400])
def test_message__value_that_json_text_cannot_hand_on(value: str) -> None:
    text = f'{{"protocol": 1, "at": 1, "type": "a", "details": {{"a": {value}}}}}'
    if value.isdigit():
        text = text.replace('"at": 1', f'"at": {value}')
    with pytest.raises(MessageError):
        from_json(EventMessage, text, where="here")
