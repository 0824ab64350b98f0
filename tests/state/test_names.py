"""Names that are close to what was asked for."""

from __future__ import annotations

import pytest

from sparkscore.state.names import find_closest_name, not_found


@pytest.mark.parametrize(
    ("name", "known", "closest"),
    [
        ("hart", ["liver", "heart"], "heart"),
        ("HEART", ["Heart"], "Heart"),
        ("heart-v2", ["heart-v1", "liver-v2"], "heart-v1"),
        ("xyz", ["heart"], None),
        ("heart", [], None),
    ],
)
def test_find_closest_name__examples(name: str, known: list[str], closest: str | None) -> None:
    assert find_closest_name(name, known) == closest


def test_not_found__says_what_to_do() -> None:
    assert "did you mean 'heart'?" in not_found("endpoint", "hart", ["heart"]).message
    assert "sparkscore batch-endpoint list" in not_found("endpoint", "hart", []).message
    assert "sparkscore data list" in not_found("data", "images", []).message
