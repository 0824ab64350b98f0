"""What the server has imported is left out of garbage collections."""

from __future__ import annotations

import gc
import sys
from types import ModuleType

import pytest

from sparkscore.rest.serving import ImportedModules


def test_imported__are_frozen_once_no_more_come(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = ImportedModules()
    try:
        imported.freeze()
        frozen = gc.get_freeze_count()
        assert frozen > 10_000
        assert not imported.have_settled()
        monkeypatch.setitem(sys.modules, "sparkscore_new", ModuleType("sparkscore_new"))
        assert not imported.have_settled()
        assert imported.have_settled()
        imported.freeze()
        assert not imported.have_settled()
    finally:
        gc.unfreeze()
