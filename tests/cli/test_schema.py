"""``sparkscore schema``."""

from __future__ import annotations

import json

import pytest

from sparkscore.cli.main import main
from sparkscore.cli.schema import KINDS
from sparkscore.spec import DOCUMENTS, document_json_schema


def test_schema__has_a_command_for_each_document() -> None:
    assert tuple(DOCUMENTS) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_schema__prints_json(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["schema", kind])
    assert left.value.code == 0
    assert json.loads(capsys.readouterr().out) == document_json_schema(DOCUMENTS[kind])
