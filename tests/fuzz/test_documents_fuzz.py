"""YAML files of every kind that are damaged, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkscore.spec import DOCUMENTS
from tests.cli.places import ENDPOINT, FLAT_DEPLOYMENT, NESTED_DEPLOYMENT
from tests.fuzz.conftest import Place
from tests.fuzz.wild import VALUES, changed_content, damaged_bytes

SAMPLES = Path(__file__).parent.parent / "spec" / "samples"

ANYTIME = settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

COMMANDS: dict[str, tuple[str, ...]] = {
    "deployment": ("batch-deployment", "create"),
    "endpoint": ("batch-endpoint", "create"),
    "model": ("model", "create"),
    "environment": ("environment", "create"),
    "data": ("data", "create"),
    "datastore": ("datastore", "create"),
    "compute": ("compute", "create"),
    "invoke": ("batch-endpoint", "invoke", "-n", ENDPOINT),
}
"""Kind -> the command that reads it. The endpoint has no deployment, so no job ever starts."""

MODEL = "name: m\nversion: 3\npath: ./model\ntype: custom_model\ntags: {a: b}\n"

PIECES = [
    *("&a ", "*a", "<<: *a\n", "<<: {a: b}\n", "!!python/object/apply:os.system [id]", "!!int 1"),
    *("!!timestamp 2020-01-01", "!!binary aGk=", "!x y", "? a\n: b\n", "--- \n", "...\n"),
    *("%YAML 1.1\n", "# \u2028", "2020-01-01", "1:30", "0o17", "0x" + "f" * 200, "9" * 5000),
    *(".inf", "-.nan", "1e400", "\t", "\r\n", "\r", "\x85", "\ufeff", "\0", "\x07", '"\\ud800"'),
    *('"\\x00"', "'", '"', "{", "[", "}", ",", "|\n  a\n", ">-\n", "a: b: c\n", "- "),
    *("[" * 100, "{a: " * 100, "name: x\n", "name: y\n", "a" * 70_000),
    "\n".join(["l0: &l0 [a, a]", *(f"l{n}: &l{n} [*l{n - 1}, *l{n - 1}]" for n in range(1, 30))]),
]

SAFE_VALUES = VALUES.filter(lambda value: value not in ("/", "~", "..", "../.."))
"""A model or code folder is copied whole: not those above the test's own."""


def texts_of(kind: str) -> list[str]:
    """Valid documents of a kind."""
    if kind == "deployment":
        return [FLAT_DEPLOYMENT, NESTED_DEPLOYMENT]
    if kind == "model":
        return [MODEL]
    return [file.read_text() for file in sorted((SAMPLES / kind).glob("*.yml"))]


@st.composite
def damaged_texts(draw: st.DrawFn, text: str) -> bytes:
    """The document with YAML's own tricks in one to three places, or as other bytes."""
    for _ in range(draw(st.integers(1, 3))):
        starts = [0, len(text), *(at + 1 for at, letter in enumerate(text) if letter in "\n: ")]
        place = draw(st.sampled_from(starts))
        length = draw(st.sampled_from([0, 0, 1, 5]))
        text = text[:place] + draw(st.sampled_from(PIECES)) + text[place + length :]
    content = text.encode("utf-8", "surrogatepass")
    return draw(damaged_bytes(content)) if draw(st.integers(0, 3)) == 0 else content


@st.composite
def changed_documents(draw: st.DrawFn, text: str) -> bytes:
    """The document with other values in some places."""
    content = draw(changed_content(yaml.safe_load(text), SAFE_VALUES))
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False).encode("utf-8", "replace")


def check(place: Place, kind: str, content: bytes) -> None:
    file = place.folder / "it.yml"
    file.write_bytes(content)
    answer = place.check(*COMMANDS[kind], "-f", str(file))
    if kind == "invoke":
        assert answer.exit_code != 0


def test_commands__cover_every_kind() -> None:
    assert set(COMMANDS) == set(DOCUMENTS)


@pytest.mark.parametrize("kind", COMMANDS)
@ANYTIME
@given(data=st.data())
def test_document__with_tricks_of_yaml(place: Place, kind: str, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(texts_of(kind)))
    check(place, kind, data.draw(damaged_texts(text)))


@pytest.mark.parametrize("kind", COMMANDS)
@ANYTIME
@given(data=st.data())
def test_document__with_other_values(place: Place, kind: str, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(texts_of(kind)))
    check(place, kind, data.draw(changed_documents(text)))
