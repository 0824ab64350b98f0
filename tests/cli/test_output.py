"""Formats of standard output, and queries."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.cli.output import OutputFormat, Query, render_output, to_plain
from sparkscore.errors import UsageError
from sparkscore.spec.document import parse_document

JOB = {
    "name": "größe-1",
    "status": "Running",
    "tags": {"team": "a"},
    "counts": [1, 2],
    "error": None,
    "is_archived": False,
}


def render(result: Any, form: str, query: str | None = None) -> str:
    found = result if query is None else Query(query).search(result)
    return render_output(found, OutputFormat(form))


def test_json__is_indented_with_one_space_after_the_colon_and_keeps_order_and_letters() -> None:
    text = render(JOB, "json")
    assert text.startswith('{\n  "name": "größe-1",\n  "status": "Running",\n  "tags": {\n')
    assert text.endswith('  "is_archived": false\n}\n')
    assert list(json.loads(text)) == list(JOB)


@pytest.mark.parametrize("form", OutputFormat.__members__)
def test_null__prints_nothing(form: str) -> None:
    assert render(None, form) == ""
    assert render(JOB, form, "nope") == ""


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("name", "größe-1\n"),
        ("is_archived", "false\n"),
        ("counts", "1\n2\n"),
        ("counts[0]", "1\n"),
        ("[name, status, error, is_archived]", "größe-1\nRunning\nNone\nfalse\n"),
        ("[[name, error, is_archived]]", "größe-1\tNone\tFalse\n"),
        ("{s: status, n: name, c: counts, t: tags}", "Running\tgröße-1\t2\t\n"),
        ("tags", "a\n"),
    ],
)
def test_tsv__of_parts(query: str, text: str) -> None:
    assert render(JOB, "tsv", query) == text


def test_tsv__of_a_whole_object_is_in_order_of_its_keys() -> None:
    assert render({"b": 1, "a": "x"}, "tsv") == "x\t1\n"
    assert render([{"b": 1, "a": "x"}, {"a": True}], "tsv") == "x\t1\nTrue\n"


def test_tsv__of_names_is_one_per_line() -> None:
    assert render([JOB, JOB], "tsv", "[].name") == "größe-1\ngröße-1\n"
    assert render([], "tsv") == ""


def test_table__has_the_columns_of_its_kind() -> None:
    columns = (("Name", "name"), ("Team", "tags.team"), ("Error", "error"))
    text = render_output([JOB, {"name": "b"}], OutputFormat.table, columns=columns)
    assert text.splitlines() == [
        "Name     Team  Error",
        "-------  ----  -----",
        "größe-1  a",
        "b",
    ]


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        (JOB, ["Name     Status   Is_archived", "-------  -------  -----------"]),
        ({"id": "x", "name": "y"}, ["Name", "----", "y"]),
        ("text", ["Result", "------", "text"]),
        ([["a", 1]], ["Column1  Column2", "-------  -------", "a        1"]),
        ([], []),
    ],
)
def test_table__without_columns(result: Any, lines: list[str]) -> None:
    assert render(result, "table").splitlines()[: len(lines)] == lines


def test_table__of_a_query_has_its_names_and_order() -> None:
    query = "[].{Status: status, Job: name}"
    assert render([JOB], "table", query).splitlines()[0] == "Status   Job"


def test_colours__on_a_terminal_only() -> None:
    for form in (OutputFormat.jsonc, OutputFormat.yamlc):
        plain = render_output(JOB, form)
        colours = render_output(JOB, form, is_terminal=True)
        assert "\x1b[" not in plain
        assert "\x1b[" in colours
    assert render(JOB, "jsonc") == render(JOB, "json")


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\x85\u2028\u2029"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.sampled_from(["1e5", "no"]),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=10,
)


@given(VALUES)
def test_json_and_yaml__load_again(value: Any) -> None:
    assert json.loads(render(value, "json") or "null") == value
    assert yaml.safe_load(render(value, "yaml") or "null") == value


@pytest.mark.parametrize("text", ["1e5", "0o17", "0x1F", "010", "1:30", "2021-01-01", "no", ""])
def test_yaml__text_stays_text_for_our_own_reader(text: str) -> None:
    entry = parse_document(render({"key": text}, "yaml"), source="out.yml")
    assert entry.find(("key",)).content == text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("query", "position"), [("[", 1), ("name..x", 5), ("name[?x", 7), ("nope(name)", None)]
)
def test_query__wrong_one_is_named_with_its_position(query: str, position: int | None) -> None:
    with pytest.raises(UsageError) as caught:
        render(JOB, "json", query)
    assert caught.value.condition == "INVALID_QUERY"
    assert caught.value.attributes == {"query": query, "position": position}


def test_query__empty_or_of_a_wrong_type() -> None:
    for query in ("", "sum(name)"):
        with pytest.raises(UsageError) as caught:
            render(JOB, "json", query)
        assert caught.value.condition == "INVALID_QUERY"


def test_to_plain__goes_into_lists() -> None:
    class Entity:
        def to_dict(self) -> dict[str, Any]:
            return {"name": "a"}

    assert to_plain([Entity(), (Entity(),), 1]) == [{"name": "a"}, [{"name": "a"}], 1]
