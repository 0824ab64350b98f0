"""Endpoints: their list, and one with its tabs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from html import unescape

import pytest
from playwright.sync_api import Page, expect

from sparkscore.control.workspace import Workspace
from sparkscore.studio.routes.endpoints import list_commands
from tests.studio.html_forms import read_fields
from tests.studio.looks import check_looks
from tests.studio.visitor import Seen, Visitor, visiting

HOSTILE = "<script>alert('x')</script> \"quotes\" \U0001f642 " + "long" * 60


@pytest.fixture
def visitor(workspace: Workspace) -> Iterator[Visitor]:
    with visiting(workspace) as found:
        yield found


def list_rows(seen: Seen) -> list[str]:
    """The names in the list of endpoints."""
    return re.findall(r'<td><a href="/studio/endpoints/[^"/]+">([^<]+)</a>', seen.text)


def add_deployment(workspace: Workspace, name: str) -> None:
    document = dict(workspace.batch_deployments.get("mood-v1", "mood").record.document)
    workspace.batch_deployments.create({**document, "name": name})


def test_list__counts_and_finds(visitor: Visitor, workspace: Workspace) -> None:
    add_deployment(workspace, "mood-v2")
    workspace.batch_endpoints.create({"name": "Sales", "tags": {"team": "shop"}})
    workspace.batch_endpoints.create({"name": "parts", "description": HOSTILE})
    seen = visitor.get("/endpoints")
    assert list_rows(seen) == ["mood", "parts", "Sales"]
    assert '<a href="/studio/endpoints/mood/deployments">2</a>' in seen.text
    assert HOSTILE not in seen.text
    for query, names in {
        "TEAM=shop": ["Sales"],
        "s": ["parts", "Sales"],
        "s%20team": ["Sales"],
        "%3Cscript%3E": ["parts"],
        "nothing": [],
        "%20": ["mood", "parts", "Sales"],
    }.items():
        found = visitor.get(f"/endpoints?q={query}")
        assert list_rows(found) == names
    assert "No endpoint matches" in visitor.get("/endpoints?q=<b>").text
    assert "<b>" not in visitor.get("/endpoints?q=<b>").text


def test_list__says_what_to_do_when_empty(visitor: Visitor, workspace: Workspace) -> None:
    workspace.batch_endpoints.delete("mood")
    assert "Create the first one" in visitor.get("/endpoints").text


def test_details__description_and_tags_are_changed(visitor: Visitor, workspace: Workspace) -> None:
    seen = visitor.get("/endpoints/mood")
    fields = read_fields(seen.text, "form")
    saved = visitor.post(
        "/endpoints/mood", {**fields, "description": HOSTILE, "tags": 'team=a\r\n"a=b"=c'}
    )
    assert (saved.status, saved.place) == (303, "/studio/endpoints/mood")
    record = workspace.batch_endpoints.get("mood").record
    assert (record.description, record.tags) == (HOSTILE, {"team": "a", "a=b": "c"})
    assert record.default_deployment == "mood-v1"
    again = visitor.get("/endpoints/mood")
    assert HOSTILE not in again.text
    shown = read_fields(again.text, "form")
    assert shown["description"] == HOSTILE
    # The form from before is older than what it would overwrite.
    late = visitor.post("/endpoints/mood", {**fields, "description": "late"})
    assert late.status == 422
    assert "is not as it was read" in late.text
    cleared = visitor.post("/endpoints/mood", {**shown, "description": "", "tags": ""})
    assert cleared.status == 303
    record = workspace.batch_endpoints.get("mood").record
    assert (record.description or "", record.tags) == ("", {})


def test_details__wrong_tags_stand_beside_the_field(visitor: Visitor) -> None:
    fields = read_fields(visitor.get("/endpoints/mood").text, "form")
    seen = visitor.post("/endpoints/mood", {**fields, "description": "kept", "tags": "team"})
    assert seen.status == 422
    assert 'id="tags-why"' in seen.text
    assert read_fields(seen.text, "form")["description"] == "kept"


def test_details__commands_start_jobs(visitor: Visitor, workspace: Workspace) -> None:
    seen = visitor.get("/endpoints/mood")
    uri = f"{visitor.server}/batchEndpoints/mood/jobs"
    assert f"<code>{uri}</code>" in seen.text
    command, curl = [
        unescape(text) for text in re.findall(r'<pre class="source"[^>]*>([^<]*)</pre>', seen.text)
    ]
    assert shlex.split(command)[:4] == ["sparkscore", "batch-endpoint", "invoke", "--name"]
    words = shlex.split(curl)
    body = words[words.index("-d") + 1].replace("FOLDER", "in")
    token = workspace.tokens.create(role="invoker", name="caller").secret
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = visitor.ask("POST", words[3], body.encode(), headers)
    assert answer.status == 201
    (job,) = workspace.jobs.list()
    assert job.record.endpoint_name == "mood"


def test_list_commands__quote_names() -> None:
    command, curl = (text for _, text in list_commands("a b'c", "http://x/a'b"))
    assert shlex.split(command)[4] == "a b'c"
    assert shlex.split(curl)[3] == "http://x/a'b"


def test_default__another_one(visitor: Visitor, workspace: Workspace) -> None:
    add_deployment(workspace, "mood-v2")
    answer = visitor.send("/endpoints/mood/default", {"default": "mood-v2"})
    assert answer.place == "/studio/endpoints/mood/deployments"
    assert workspace.batch_endpoints.get("mood").default_deployment == "mood-v2"
    assert visitor.send("/endpoints/mood/default", {"default": "mood-v9"}).status == 404
    assert visitor.send("/endpoints/mood/default", {"default": ""}).status == 422
    assert workspace.batch_endpoints.get("mood").default_deployment == "mood-v2"


def test_delete__deployments_go_and_jobs_stay(visitor: Visitor, workspace: Workspace) -> None:
    from sparkscore.control import InvokeRequest

    request = InvokeRequest(input="azureml://datastores/workspaceblobstore/paths/in")
    job = workspace.batch_endpoints.invoke("mood", request).wait(120)
    assert f"/studio/jobs/{job.name}" in visitor.get("/endpoints").text
    assert job.name in visitor.get("/endpoints/mood/jobs").text
    assert job.name in visitor.get("/endpoints/mood/deployments/mood-v1").text
    assert "Jobs and their results stay" in visitor.get("/endpoints/mood").text
    assert visitor.send("/endpoints/Mood/delete").place == "/studio/endpoints"
    assert workspace.batch_endpoints.list() == []
    assert workspace.jobs.get(job.name).status == job.status
    assert visitor.get("/endpoints/mood").status == 404


@pytest.mark.parametrize("path", ["", "/deployments", "/jobs"])
def test_endpoint__that_is_not_there(path: str, visitor: Visitor) -> None:
    answer = visitor.get(f"/endpoints/nothing{path}")
    assert (answer.status, "ENDPOINT_NOT_FOUND" in answer.text) == (404, True)


def test_endpoint__readers_only_look(workspace: Workspace) -> None:
    with visiting(workspace, "reader") as visitor:
        for path in ("", "/mood", "/mood/deployments", "/mood/jobs", "/mood/deployments/mood-v1"):
            page = visitor.get(f"/endpoints{path}")
            assert page.status == 200
            for word in ("Delete", "Edit", "Add deployment", "Make default", "Create job"):
                assert f">{word}<" not in page.text
        for path in ("/mood", "/mood/default", "/mood/delete", "/mood/deployments/mood-v1/delete"):
            assert visitor.send(f"/endpoints{path}").status == 403
        assert visitor.get("/endpoints/mood/deployments/mood-v1/edit").status == 403
    assert workspace.batch_deployments.get("mood-v1", "mood").is_default


@pytest.mark.slow
def test_endpoints__list_to_details_and_delete(
    studio: str, page: Page, workspace: Workspace
) -> None:
    workspace.batch_endpoints.create({"name": "hostile", "tags": {HOSTILE: HOSTILE}})
    page.goto(f"{studio}/")
    expect(page.get_by_role("heading", name="Batch endpoints")).to_be_visible()
    check_looks(page)
    page.get_by_role("link", name="hostile", exact=True).click()
    check_looks(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Jobs and their results stay")
    question.get_by_role("button", name="Keep").click()
    expect(question).to_be_hidden()
    page.get_by_role("button", name="Delete", exact=True).click()
    question.get_by_role("button", name="Delete endpoint").click()
    page.wait_for_url(f"{studio}/endpoints")
    expect(page.get_by_role("status")).to_contain_text("hostile was deleted")
    expect(page.get_by_role("link", name="mood", exact=True)).to_be_visible()


@pytest.mark.slow
def test_deployments__delete_the_default(studio: str, page: Page, workspace: Workspace) -> None:
    for name in ("mood-v2", "mood-v3"):
        add_deployment(workspace, name)
    page.goto(f"{studio}/endpoints/mood/deployments")
    check_looks(page)
    page.locator("#default").select_option("mood-v2")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_role("row", name="mood-v2")).to_contain_text("Default")
    page.get_by_role("row", name="mood-v2").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_label("Which one takes its place?").select_option("mood-v3")
    page.get_by_role("dialog").get_by_role("button", name="Delete deployment").click()
    expect(page.get_by_role("status")).to_contain_text("mood-v2 was deleted")
    assert workspace.batch_endpoints.get("mood").default_deployment == "mood-v3"
