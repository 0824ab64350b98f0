from __future__ import annotations

from typing import Any

import pytest
import yaml

from sparkscore.spec import load_deployment, render_yaml

DOCUMENT: dict[str, Any] = {
    "name": "mood-v1",
    "endpoint_name": "mood",
    "type": "model",
    "model": "azureml:weights:1",
    "code_configuration": {"code": "azureml:score:1", "scoring_script": "score.py"},
    "tags": {"a": "1.10", "yes": "no", "text": "two\nlines", "letters": "\u00e4\U0001f600"},
    "settings": {"environment_variables": {"EMPTY": "", "NULL": "null"}, "error_threshold": 0},
}


@pytest.mark.parametrize("empty", [{}, [], None, {"inner": {}}])
def test_render_yaml__leaves_out_what_is_empty(empty: Any) -> None:
    assert yaml.safe_load(render_yaml({"name": "abc", "more": empty})) == {"name": "abc"}


def test_render_yaml__loads_to_the_same_deployment() -> None:
    registered = load_deployment(DOCUMENT).spec.to_document()
    for document in (DOCUMENT, registered):
        text = render_yaml(document)
        assert load_deployment(yaml.safe_load(text)).spec.to_document() == registered


def test_render_yaml__keeps_order_and_letters() -> None:
    text = render_yaml(DOCUMENT)
    assert text.index("name:") < text.index("model:") < text.index("settings:")
    assert "\u00e4" in text
    assert render_yaml({"keep": [0, False, ""]}) == "keep:\n- 0\n- false\n- ''\n"
