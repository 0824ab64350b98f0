from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.studio.pairs import (
    read_lines,
    read_names,
    read_pairs,
    render_lines,
    render_names,
    render_pairs,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", '"', '"a"', "a=b", " a", "a\n", "all", "[", "\\", '"x', "\u2028", "a,b"]
)


@given(st.dictionaries(TEXTS, TEXTS, max_size=5))
def test_pairs__come_back_as_they_were(pairs: dict[str, str]) -> None:
    assert read_pairs(render_pairs(pairs)) == pairs
    # Browsers send lines with both letters at their end.
    assert read_pairs(render_pairs(pairs).replace("\n", "\r\n")) == pairs


def test_pairs__plain_ones_stay_plain() -> None:
    assert render_pairs({"A": "1", "B": "two words = 2"}) == "A=1\nB=two words = 2"
    assert read_pairs("\n A = 1 \n\nB=x=y\nC=") == {"A": "1", "B": "x=y", "C": ""}
    assert read_pairs('A="half') == {"A": '"half'}


@pytest.mark.parametrize("text", ["a", "=a", '"a', '"a"b=c', "a=1\na=2", '"a" b'])
def test_pairs__wrong_ones_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_pairs(text)


@given(st.lists(TEXTS.filter(bool), max_size=4).filter(bool))
def test_names__come_back_as_they_were(names: list[str]) -> None:
    assert read_names(render_names(names)) == names


@given(st.lists(TEXTS, max_size=4))
def test_lines__come_back_as_they_were(texts: list[str]) -> None:
    assert read_lines(render_lines(texts)) == texts
    assert read_lines(render_lines(texts).replace("\n", "\r\n")) == texts


def test_names__all_and_lists() -> None:
    assert read_names(render_names("all")) == "all"
    assert read_names(" a, b,,c ") == ["a", "b", "c"]
    assert render_names(["a", "b c"]) == "a, b c"
    assert read_names(render_names(["all"])) == ["all"]


@pytest.mark.parametrize("text", ["[1]", "[", '["a"'])
def test_names__wrong_ones_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_names(text)
