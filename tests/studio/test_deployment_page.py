"""One deployment: everything about it, and its settings to edit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page, expect

from sparkscore.control.workspace import Workspace
from sparkscore.spec import load_deployment
from tests.control.samples import SCRIPT
from tests.studio.html_forms import find_errors, read_fields
from tests.studio.looks import check_looks
from tests.studio.visitor import Visitor, visiting

PLACE = "/endpoints/mood/deployments/mood-v1"
HOSTILE = "</textarea><script>alert('x')</script> \"quotes\" \U0001f642"


@pytest.fixture
def visitor(workspace: Workspace) -> Iterator[Visitor]:
    with visiting(workspace) as found:
        yield found


def get_document(workspace: Workspace) -> dict[str, Any]:
    return workspace.batch_deployments.get("mood-v1", "mood").record.document


def test_page__settings_places_and_yaml(visitor: Visitor, workspace: Workspace) -> None:
    seen = visitor.get(PLACE).text
    for place in ("/models/weights/1", "/computes/cpu-cluster"):
        assert f'href="/studio{place}"' in seen
        assert visitor.get(place).status == 200
    source = unescape(re.findall(r'<pre class="source" tabindex="0">([^<]*)</pre>', seen)[-1])
    document = get_document(workspace)
    assert load_deployment(yaml.safe_load(source)).spec.to_document() == document


def test_page__code_is_shown_as_text(visitor: Visitor, workspace: Workspace) -> None:
    folder = Path(workspace.datastores.get_default().uri, "hostile")
    (folder / "lib").mkdir(parents=True)
    (folder / "score.py").write_text(SCRIPT + f"# {HOSTILE}\n")
    (folder / "lib" / "a & b.txt").write_text("other text")
    (folder / "weights.bin").write_bytes(b"\0\1")
    code = workspace.code.create(str(folder), name="hostile")
    document = get_document(workspace)
    configuration = {"code": code.reference, "scoring_script": "score.py"}
    workspace.batch_deployments.create(
        {**document, "code_configuration": configuration, "description": HOSTILE}
    )
    seen = visitor.get(PLACE)
    assert "def init" in seen.text
    assert HOSTILE not in seen.text
    assert f"# {HOSTILE}" in unescape(seen.text)
    links = [unescape(link) for link in re.findall(r'href="[^"]*(\?file=[^"#]*)', seen.text)]
    assert links == ["?file=lib%2Fa%20%26%20b.txt", "?file=score.py", "?file=weights.bin"]
    assert "other text" in visitor.get(PLACE + links[0]).text
    assert "is no text" in visitor.get(PLACE + links[2]).text
    for outside in ("..%2F..%2Fstore.db", "%2Fetc%2Fpasswd", "no.py", "lib"):
        assert visitor.get(f"{PLACE}?file={outside}").status == 404


def test_page__that_is_not_there(visitor: Visitor) -> None:
    for path in ("", "/edit"):
        assert visitor.get(f"/endpoints/mood/deployments/nothing{path}").status == 404


def test_edit__nothing_touched_changes_nothing(visitor: Visitor, workspace: Workspace) -> None:
    before = get_document(workspace)
    fields = read_fields(visitor.get(f"{PLACE}/edit").text)
    assert visitor.post(f"{PLACE}/edit", fields).place == f"/studio{PLACE}"
    assert get_document(workspace) == before


def test_edit__changes_what_was_typed(visitor: Visitor, workspace: Workspace) -> None:
    fields = read_fields(visitor.get(f"{PLACE}/edit").text)
    changed = {
        **fields,
        "description": HOSTILE,
        "tags": "team=a",
        "settings.mini_batch_size": "3",
        "settings.output_separator": "blank",
        "settings.output_schema": "file=string\r\nmood=long",
        "resources.instance_count": "2",
    }
    del changed["settings.output_header"]
    assert visitor.post(f"{PLACE}/edit", changed).status == 303
    document = get_document(workspace)
    settings = document["settings"]
    assert (document["description"], document["tags"]) == (HOSTILE, {"team": "a"})
    assert document["resources"]["instance_count"] == 2
    assert (settings["mini_batch_size"], settings["output_separator"]) == (3, " ")
    assert (settings["output_header"], settings["isolate_failures"]) == (False, True)
    assert list(settings["output_schema"].items()) == [("file", "string"), ("mood", "bigint")]
    again = read_fields(visitor.get(f"{PLACE}/edit").text)
    assert again["description"] == HOSTILE
    assert again["settings.output_separator"] == "blank"
    assert HOSTILE not in visitor.get(PLACE).text
    # Somebody else's change meanwhile is not overwritten.
    late = visitor.post(f"{PLACE}/edit", {**fields, "settings.mini_batch_size": "99"})
    assert (late.status, "is not as it was read" in late.text) == (422, True)
    assert get_document(workspace)["settings"]["mini_batch_size"] == 3


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"settings.mini_batch_size": "none"}, "settings.mini_batch_size"),
        ({"settings.environment_variables": "none"}, "settings.environment_variables"),
        ({"model": ""}, "model"),
        ({"model": "azureml:nothing:1"}, "model"),
        ({"use_script": "no"}, "use_script"),
        ({"scoring_script": "helper.py"}, "scoring_script"),
        ({"compute": "azureml:nothing"}, "compute"),
        ({"environment": "azureml:nothing:1"}, "environment"),
        ({"resources.instance_count": "9"}, "resources.instance_count"),
    ],
)
def test_edit__errors_stand_beside_their_field(
    typed: dict[str, str], field: str, visitor: Visitor, workspace: Workspace
) -> None:
    before = get_document(workspace)
    fields = {**read_fields(visitor.get(f"{PLACE}/edit").text), "description": "kept"}
    seen = visitor.post(f"{PLACE}/edit", {**fields, **typed})
    assert seen.status == 422
    assert list(find_errors(seen.text)) == [field]
    assert read_fields(seen.text)["description"] == "kept"
    assert get_document(workspace) == before


def test_delete__default_needs_another(visitor: Visitor, workspace: Workspace) -> None:
    workspace.batch_deployments.create({**get_document(workspace), "name": "mood-v2"})
    refused = visitor.send(f"{PLACE}/delete")
    assert (refused.status, "NEW_DEFAULT_NEEDED" in refused.text) == (409, True)
    gone = visitor.send(f"{PLACE}/delete", {"new_default": "mood-v2"})
    assert gone.place == "/studio/endpoints/mood/deployments"
    (left,) = workspace.batch_deployments.list("mood")
    assert (left.name, left.is_default) == ("mood-v2", True)
    assert visitor.send("/endpoints/mood/deployments/mood-v2/delete").status == 303
    assert "No deployment yet" in visitor.get("/endpoints/mood/deployments").text


@pytest.mark.slow
def test_deployment__looked_at(studio: str, page: Page) -> None:
    page.goto(f"{studio}{PLACE}")
    page.get_by_role("link", name="helper.py").click()
    expect(page.locator("pre.tall")).to_have_text("prefix = 'a'")
    check_looks(page)
    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_role("heading", name="Edit mood-v1")).to_be_visible()


@pytest.mark.slow
def test_edit__errors_and_what_was_typed(studio: str, page: Page, workspace: Workspace) -> None:
    page.goto(f"{studio}{PLACE}/edit")
    page.get_by_text("More settings").click()
    check_looks(page)
    page.get_by_label("Output header").uncheck()
    page.get_by_label("Scoring script").select_option("helper.py")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#scoring_script-why")).to_contain_text("init")
    expect(page.get_by_label("Output header")).not_to_be_checked()
    page.get_by_label("Scoring script").select_option("score.py")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(f"{studio}{PLACE}")
    expect(page.get_by_role("status")).to_contain_text("was saved")
    assert get_document(workspace)["settings"]["output_header"] is False
