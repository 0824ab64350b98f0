"""Values and bytes that nobody expects, made of what is expected."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from sparkscore.errors import SparkscoreError

TEXTS = [
    *(
        "",
        " ",
        "\0",
        "\n",
        "a\nb",
        "..",
        "../..",
        "/",
        "~",
        "-",
        "=",
        ".",
        "é",
        "\u2028",
        "\U0001f600",
    ),
    *(
        "true",
        "null",
        "0",
        "-1",
        "1e999",
        "nan",
        "azureml:a@latest",
        "x" * 5000,
        "9" * 5000,
        "%s%n",
    ),
]
SCALARS = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63) - 1, 2**64, 10**400),
    *(0.0, -0.5, 1e308, 5e-324),
]
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [*TEXTS, *SCALARS, [], {}, [[]], [None], {"a": 1}, {"": {}}]
) | (
    st.recursive(
        st.sampled_from([*TEXTS, *SCALARS]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=3)
        ),
        max_leaves=5,
    )
)
SPLICES = [
    *(b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\t", b'"', b"}", b"]", b"{", b"[", b"NaN"),
    *(
        b"Infinity",
        b"-",
        b"1e999",
        b"\\ud800",
        b"\\u0000",
        b"9" * 5000,
        b"[" * 5000,
        b'{"a":' * 5000,
    ),
]


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The content cut off, or with other bytes in one place, or in another encoding."""
    how = draw(st.sampled_from(["cut", "splice", "splice", "byte", "twice", "utf-16", "latin"]))
    place = draw(st.integers(0, len(content)))
    if how == "cut":
        return content[:place]
    if how == "splice":
        length = draw(st.integers(0, 20))
        return content[:place] + draw(st.sampled_from(SPLICES)) + content[place + length :]
    if how == "byte":
        return content[:place] + draw(st.binary(min_size=1, max_size=3)) + content[place + 1 :]
    if how == "utf-16":
        return content.decode("utf-8", "replace").encode("utf-16")
    return content * 2 if how == "twice" else content + "é".encode("latin-1")


@st.composite
def changed_content(
    draw: st.DrawFn, content: dict[str, Any], values: st.SearchStrategy[Any] = VALUES
) -> dict[str, Any]:
    """The mapping with other values in up to three places, at any depth."""
    changed: dict[str, Any] = copy.deepcopy(content)
    for _ in range(draw(st.integers(0, 3))):
        if not changed:
            break
        holder, key = draw(st.sampled_from(list(iter_places(changed))))
        how = draw(st.sampled_from(["set", "set", "set", "delete", "add"]))
        if how == "set":
            holder[key] = copy.deepcopy(draw(values))
        elif how == "delete":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(TEXTS))] = copy.deepcopy(draw(values))
    return changed


@st.composite
def damaged_json(draw: st.DrawFn, content: dict[str, Any]) -> bytes:
    """The object with other values, another protocol or damaged bytes."""
    changed = draw(changed_content(content))
    if draw(st.integers(0, 9)) == 0:
        changed["protocol"] = draw(st.sampled_from([0, 2, "1", 1.5, None, True]) | VALUES)
    text = json.dumps(changed).encode()
    return draw(damaged_bytes(text)) if draw(st.integers(0, 3)) == 0 else text


def iter_places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Each container below ``content`` with each of its keys or positions."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(items):
        yield content, key
        if isinstance(value, (dict, list)):
            yield from iter_places(value)


def check_error(error: SparkscoreError) -> None:
    """An error that a command line and a message can show."""
    assert error.message.strip()
    assert error.condition == error.condition.upper()
    assert 1 < error.exit_code <= 6
    json.dumps(error.attributes, allow_nan=False).encode()
    error.message.encode()
