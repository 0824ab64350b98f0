"""The settings of computes as fields: from the spec, to a document, and back."""

from __future__ import annotations

import pytest

from sparkscore.control.assets.computes import PLATFORMS
from sparkscore.spec import ComputeSpec
from sparkscore.studio.compute_fields import (
    GROUPS,
    MORE_GROUPS,
    TYPES,
    describe_for,
    get_field,
    is_needed,
    iter_shown,
    list_keys,
)
from sparkscore.studio.setting_fields import make_field

# Only one access mode runs jobs: a compute has it without being asked.
LEFT_OUT = {"databricks": {"data_security_mode"}, "kubernetes": set[str]()}


def test_types__are_those_of_the_spec() -> None:
    assert set(TYPES) == set(ComputeSpec.grammar.types)
    assert set(GROUPS) == set(MORE_GROUPS) == set(PLATFORMS)


@pytest.mark.parametrize("type_", PLATFORMS)
def test_fields__every_key_of_a_platform_stands_in_one_group(type_: str) -> None:
    keys = ComputeSpec.grammar.types[type_]
    assert set(list_keys(type_)) - {"environments", "spark_conf"} == keys.names - LEFT_OUT[type_]
    assert len(list_keys(type_)) == len(set(list_keys(type_)))
    shown = {key for _, group in GROUPS[type_] for key in group}
    assert set(keys.required) <= shown
    assert {key for key in shown if is_needed(type_, key)} == set(keys.required)


@pytest.mark.parametrize("type_", PLATFORMS)
def test_fields__have_names_of_their_own_and_a_hint(type_: str) -> None:
    fields = [get_field(type_, key) for key in list_keys(type_)]
    own = [field for field in fields if field.name.startswith(f"{type_}_")]
    assert {field.name for field in fields} - {field.name for field in own} == {
        *("min_instances", "max_instances", "environments", "spark_conf"),
    }
    for field in fields:
        assert field.hint[:1].isupper() or field.hint.startswith("{{")
        assert not any(f"{other}: " in field.hint.lower() for other in TYPES)


def test_hint__says_what_is_about_the_type() -> None:
    text = "databricks: runtime, as 16.4. kubernetes, spark: version in it. No: it is none."
    assert describe_for("databricks", text) == "Runtime, as 16.4."
    assert describe_for("kubernetes", text) == "Version in it. No: it is none."
    assert describe_for("local", text) == ""
    assert describe_for("local", "smallest count: any.") == "Smallest count: any."


def test_shown__is_all_that_a_compute_has() -> None:
    document = {
        "name": "x",
        "type": "databricks",
        "tags": {"a": "b"},
        "host": "https://h",
        "data_security_mode": "standard",
        "min_instances": 0,
        "spark_env_vars": {},
        "libraries": ["a", "b,c"],
    }
    found = {field.label: field.show(value) for field, value in iter_shown("databricks", document)}
    assert found == {
        "Host": "https://h",
        "Libraries": "a\nb,c",
        "Fewest instances": "0",
        "Data security mode": "standard",
    }


def test_lists__have_a_line_for_each() -> None:
    field = make_field("libraries", {"type": "array", "description": "Some."})
    assert field.read(" a>=1,<2\r\n\n b ") == ["a>=1,<2", "b"]
    assert field.render(["a", "", " b\n"]) == 'a\n""\n" b\\n"'
