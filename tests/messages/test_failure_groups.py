"""Failures that differ in values only belong together."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.messages.failure_groups import (
    MAX_GROUPS,
    MAX_SAMPLES,
    OTHER_MESSAGES,
    FailureGroup,
    group_failures,
    merge_failure_groups,
    normalise_message,
)

WORDS = st.sampled_from(
    ["bad", "/a/b.txt", "'x'", '"y z"', "12", "0x7f", "s3://b/k", "it's", "1.5e-3", "<n>", "a/b"]
)
MESSAGES = st.lists(WORDS, max_size=5).map(" ".join) | st.text()
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "path": st.text(max_size=5),
            "condition": st.sampled_from(["SCRIPT_RAISED", "SCRIPT_TIMEOUT"]),
            "message": MESSAGES,
            "count": st.integers(1, 9) | st.integers(1, 9).map(str),
        },
        optional={
            "host": st.sampled_from(["a", "b"]),
            "attempts": st.integers(0, 5).map(str),
            "script_line": st.just("score.py:3"),
        },
    )
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("ValueError: bad /in/c.txt row 12", "ValueError: bad <path> row <n>"),
        ("KeyError: 'name'", "KeyError: <value>"),
        ("<Net object at 0x7f12abcd>", "<Net object at <address>>"),
        ("s3://bucket/k.csv: status 404", "<path> status <n>"),
        ("took 2.5 s, 1,000 rows", "took <n> s, <n> rows"),
        ("it's wrong, isn't it", "it's wrong, isn't it"),
        ("two\n lines", "two lines"),
    ],
)
def test_normalise_message__replaces_values_by_their_kind(message: str, expected: str) -> None:
    assert normalise_message(message) == expected


@given(MESSAGES)
def test_normalise_message__changes_nothing_twice(message: str) -> None:
    once = normalise_message(message)
    assert normalise_message(once) == once


@given(ROWS)
def test_group_failures__counts_add_up(rows: list[dict[str, Any]]) -> None:
    groups = group_failures(rows)
    assert sum(group.count for group in groups) == sum(int(row["count"]) for row in rows)
    assert len({(group.condition, group.message) for group in groups}) == len(groups)
    assert [group.count for group in groups] == sorted((g.count for g in groups), reverse=True)
    assert all(0 < len(group.samples) <= MAX_SAMPLES for group in groups)


@given(ROWS, st.integers(0, 10))
def test_merge_failure_groups__is_idempotent_and_takes_parts(
    rows: list[dict[str, Any]], cut: int
) -> None:
    groups = group_failures(rows)
    assert merge_failure_groups(groups) == groups
    parts = merge_failure_groups([*group_failures(rows[:cut]), *group_failures(rows[cut:])])
    assert parts == groups


def test_group_failures__takes_lines_and_rows_of_the_ledger() -> None:
    line = {
        "path": "a.txt",
        "mini_batch_id": "4",
        "condition": "SCRIPT_RAISED",
        "message": "ValueError: row 3",
        "count": "1",
        "candidates": "",
        "attempts": "2",
        "script_line": "score.py:9",
        "host": "node-a",
        "process": "17",
    }
    row = {
        "mini_batch_id": 5,
        "condition": "SCRIPT_RAISED",
        "message": "ValueError: row 7",
        "failed": 2,
        "host": "node-b",
        "attempts": 3,
        "script_line": None,
        "script_traceback": "Traceback",
        "failures": '[{"path": "b.txt", "condition": "SCRIPT_RAISED", "count": 1}]',
    }
    succeeded = {"mini_batch_id": 6, "condition": None, "message": None, "failed": 0}
    (group,) = group_failures([line, row, succeeded])
    assert (group.condition, group.message, group.count) == (
        "SCRIPT_RAISED",
        "ValueError: row <n>",
        3,
    )
    assert [sample["path"] for sample in group.samples] == ["a.txt", "b.txt"]
    assert group.samples[0]["message"] == "ValueError: row 3"
    assert (group.script_line, group.script_traceback) == ("score.py:9", "Traceback")
    assert (group.hosts, group.attempts) == (("node-a", "node-b"), 3)


def test_group_failures__short_result_is_shown_by_its_first_candidate() -> None:
    row = {"path": "", "condition": "SHORT_RESULT", "message": "", "candidates": '["c.txt", "d"]'}
    (group,) = group_failures([row])
    assert isinstance(group, FailureGroup)
    assert group.samples[0]["path"] == "c.txt"


def test_group_failures__messages_that_are_all_different() -> None:
    words = itertools.islice(itertools.product("abcdefghij", repeat=4), MAX_GROUPS + 500)
    rows = [
        {"path": "a", "condition": ("X", "Y")[at % 2], "message": "".join(word)}
        for at, word in enumerate(words)
    ]
    groups = group_failures(rows)
    assert len(groups) == MAX_GROUPS + 2
    assert [(group.condition, group.message, group.count) for group in groups[:2]] == [
        ("X", OTHER_MESSAGES, 250),
        ("Y", OTHER_MESSAGES, 250),
    ]
    assert merge_failure_groups(groups) == groups
