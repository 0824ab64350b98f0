"""YAML that is refused before any field is looked at."""

from __future__ import annotations

import pytest

from sparkscore.errors import MalformedDocumentError
from sparkscore.spec.document import MAX_BYTES, parse_document, parse_scalar

MALFORMED = [
    (b"", 1, 1),
    (b"# only a comment\n", 1, 1),
    (b"---\n", 1, 1),
    (b"null\n", 1, 1),
    (b"[a, b]\n", 1, 1),
    (b"text\n", 1, 1),
    (b"name: caf\xe9\n", 1, 10),
    ("name: abc\n".encode("utf-16"), 1, 1),
    (b"name: abc\nsettings:\n\tmini_batch_size: 1\n", 3, 1),
    (b"name: abc\nname: def\n", 2, 1),
    (b"a: {b: 1, b: 2}\n", 1, 11),
    (b"a: !!python/object/apply:os.system [id]\n", 1, 4),
    (b"a: !!str 1\n", 1, 4),
    (b"a: !mine 1\n", 1, 4),
    (b"!!map {a: 1}\n", 1, 1),
    (b"!!str a: 1\n", 1, 1),
    (b"a: 1\n---\nb: 2\n", 2, 1),
    (b"a: b: c\n", 1, 5),
    (b"a: [1,\n", 2, 1),
    (b"a: 'open\n", 2, 1),
    (b"a: *b\n", 1, 4),
    (b"a: &a [*a]\n", 1, 8),
    (b"<<: {a: 1}\n", 1, 1),
    (b"? [a]\n: 1\n", 1, 3),
    (b"? {a: b}\n: 1\n", 1, 3),
    (b"a: 1\nb: \x07\n", 2, 4),
    (b'a: "\\0"\n', 1, 4),
    (b'a: "\\ud800"\n', 1, 4),
    (b'a: "\\UFFFFFFFF"\n', 1, 7),
    (b"a: " + b"[" * 5000 + b"\n", 1, 36),
    (b"a: " + b"{b: " * 5000 + b"\n", 1, 132),
    (b"%YAML 7.1\n---\na: 1\n", 1, 1),
]


@pytest.mark.parametrize(("content", "line", "column"), MALFORMED)
def test_malformed__names_file_line_and_column(make_error, deployment_file, content, line, column):
    error = make_error(content, alone=True)
    assert type(error) is MalformedDocumentError
    assert error.attributes == {"file": str(deployment_file), "line": line, "column": column}
    assert error.message.startswith(f"{deployment_file}:{line}:{column}: ")
    assert "\n" not in error.message


def test_malformed__tab_is_named(make_error):
    assert "tab" in make_error(b"a:\n\tb: 1\n", alone=True).message


def test_malformed__alias_bomb_is_stopped(make_error):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{chr(98 + level)}: &{chr(98 + level)} [{', '.join(['*' + chr(97 + level)] * 10)}]"
        for level in range(20)
    ]
    error = make_error("\n".join(lines), alone=True)
    assert type(error) is MalformedDocumentError
    assert "aliases" in error.message


def test_malformed__many_values_are_stopped(make_error):
    assert type(make_error("tags: [" + "1," * 30_000 + "]")) is MalformedDocumentError


def test_malformed__large_file_is_not_read(make_error):
    error = make_error(b"#" * (MAX_BYTES + 1), alone=True)
    assert type(error) is MalformedDocumentError
    assert "bytes" in error.message


def test_document__byte_order_mark_and_crlf(make_deployment):
    text = "name: abc\r\nendpoint_name: digits\r\nmodel: models:/m/1\r\n"
    assert make_deployment(b"\xef\xbb\xbf" + text.encode(), alone=True).spec.name == "abc"


def test_document__alias_is_a_copy_with_its_own_key_and_line():
    root = parse_document("a: &x {b: [1, 2]}\nc: *x\n", source="d.yml")
    copied = root.find(("c", "b", 1))
    assert copied is not None
    assert (copied.content, copied.key, str(copied.place)) == (2, "c.b[1]", "d.yml:2")


def test_document__places_and_texts():
    root = parse_document("a:\n  b: 1.10\nc: |\n  x\n", source="d.yml")
    inner = root.find(("a", "b"))
    assert inner is not None
    assert (inner.key, inner.text, inner.content, inner.place.line) == ("a.b", "1.10", 1.1, 2)
    assert root.members["c"].content == "x\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("NULL", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("on", "on"),
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("010", "010"),
        ("-08", "-08"),
        ("0o17", 15),
        ("0xfF", 255),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2021-10-01", "2021-10-01"),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        (".INF", float("inf")),
        (".", "."),
        ("-", "-"),
        ("1.2.3", "1.2.3"),
        ("9" * 101, float("9" * 101)),
        ("٣", "٣"),
    ],
)
def test_scalar__follows_yaml_1_2(text, value):
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)
