"""Names in listings of stores."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.storage import is_below


@pytest.mark.parametrize("name", ["", "/etc/x", "a//b", "./a", "a/./b", "../a", "a/..", "a/", "\0"])
def test_is_below__refuses(name: str) -> None:
    assert not is_below(name)


@given(st.text(alphabet="ab./", max_size=8))
def test_is_below__means_a_path_below_the_folder(name: str) -> None:
    if is_below(name):
        path = os.path.join("/folder", name)
        assert os.path.normpath(path) == path
        assert path.startswith("/folder/")
