"""Prefixes, several values per flag, switches with true or false."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.cli.arguments import SEPARATOR, Flag, spell_out, split_words
from sparkscore.errors import UsageError

FLAGS = [
    Flag(("--name", "-n")),
    Flag(("--endpoint-name", "-e")),
    Flag(("--workspace-name", "--workspace", "-w")),
    Flag(("--input",)),
    Flag(("--input-type",)),
    Flag(("--set",), is_list=True),
    Flag(("--set-default",), takes_value=False),
    Flag(("--add",), is_list=True),
    Flag(("--query",)),
    Flag(("--yes", "-y"), takes_value=False),
    Flag(("--no-wait",), takes_value=False),
]


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("", ""),
        ("surplus", "surplus"),
        ("--name x", "--name x"),
        ("--endpoint x", "--endpoint-name x"),
        ("--e x --q y", "--endpoint-name x --query y"),
        ("--work x", "--workspace-name x"),
        ("--workspace x", "--workspace x"),
        ("--input x", "--input x"),
        ("--input-t x", "--input-type x"),
        ("--set a=1 b=2 --name n", "--set a=1 --set b=2 --name n"),
        ("--set a=1 --set b=2", "--set a=1 --set b=2"),
        ("--set=a=1 b=2", "--set a=1 --set b=2"),
        ("--set a=-1", "--set a=-1"),
        ("--name=x", "--name x"),
        ("-n x", "-n x"),
        ("-n=x", "-n x"),
        ("-nx", "-nx"),
        ("--name --set", "--name --set"),
        ("--name", "--name"),
        ("--yes", "--yes"),
        ("--ye", "--yes"),
        ("--yes true --name x", "--yes --name x"),
        ("-y False --name x", "--name x"),
        ("--set-d", "--set-default"),
        ("--nope x", "--nope x"),
        ("--", "--"),
    ],
)
def test_spell_out__examples(given: str, spelled: str) -> None:
    assert spell_out(given.split(), FLAGS) == spelled.split()


@pytest.mark.parametrize(
    ("word", "candidates"),
    [("--n", ["--name", "--no-wait"]), ("--in", ["--input", "--input-type"])],
)
def test_spell_out__ambiguous_prefix_names_the_candidates(word: str, candidates: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        spell_out([word, "x"], FLAGS)
    assert caught.value.condition == "AMBIGUOUS_FLAG"
    assert caught.value.attributes == {"flag": word, "candidates": candidates}


def test_spell_out__words_of_one_add_stay_together() -> None:
    spelled = spell_out(["--add", "properties.list", "a", "b", "--add", "tags.x=1"], FLAGS)
    assert spelled == ["--add", f"properties.list{SEPARATOR}a{SEPARATOR}b", "--add", "tags.x=1"]
    split = split_words(spelled[1::2], belong=lambda words: "=" not in words[0])
    assert split == [["properties.list", "a", "b"], "tags.x=1"]


def test_split_words__that_do_not_belong_together() -> None:
    text = SEPARATOR.join(["tags.x=1", "tags.y=2"])
    assert split_words([text], belong=lambda _: False) == ["tags.x=1", "tags.y=2"]
    assert split_words(None, belong=lambda _: True) == []


@given(st.lists(st.sampled_from([*"ab", "--name", "--set", "-n", "--yes", "--input", "x=1"])))
def test_spell_out__twice_is_once(words: list[str]) -> None:
    once = spell_out(words, FLAGS)
    assert spell_out(once, FLAGS) == once
