"""Scoring script of mini_batch_overhead.py: returns at once."""

from __future__ import annotations


def init() -> None:
    """Nothing to load."""


def run(mini_batch: list[str]) -> list[int]:
    """One number for each file."""
    return [1] * len(mini_batch)
