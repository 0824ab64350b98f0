"""The names that ``sparkscore.control`` offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore import control

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", control.__all__)
def test_control__offers(name: str) -> None:
    assert callable(getattr(control, name))


def test_control__unknown_name() -> None:
    with pytest.raises(AttributeError, match="nope"):
        control.nope  # noqa: B018


def test_control__imports_no_engine() -> None:
    code = (
        "import sys\n"
        "from sparkscore import control\n"
        "for name in control.__all__: getattr(control, name)\n"
        "print(sorted({'pyspark', 'mlflow', 'pandas', 'delta'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
