"""Settings of the whole suite."""

from __future__ import annotations

from hypothesis import settings

# No deadline: a busy machine is not a failure. The examples are the same in every run, so that a
# change fails where it was made.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")
