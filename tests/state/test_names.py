"""Names that are close to what was asked for."""

from __future__ import annotations

from sparkscore.state.names import not_found


def test_not_found__says_what_to_do() -> None:
    assert "did you mean 'heart'?" in not_found("endpoint", "hart", ["heart"]).message
    assert "sparkscore batch-endpoint list" in not_found("endpoint", "hart", []).message
    assert "sparkscore data list" in not_found("data", "images", []).message
