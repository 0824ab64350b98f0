"""Computes of platforms: the form, their pages, and the pages of jobs that run on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page, expect

from sparkscore.control import Job
from sparkscore.control.workspace import Workspace
from sparkscore.spec import ComputeSpec, load_document
from sparkscore.studio.job_overview import Selection, make_overview
from tests.studio.finished_jobs import HOSTILE, add_job
from tests.studio.html_forms import find_errors, read_fields
from tests.studio.looks import check_looks
from tests.studio.visitor import Visitor, visiting

DATABRICKS = {
    "name": "dbx",
    "type": "databricks",
    "databricks_host": "https://adb-1.azuredatabricks.net",
    "databricks_staging": "s3://scoring/staging",
    "databricks_spark_version": "16.4.x-scala2.12",
    "databricks_node_type_id": "Standard_D8ds_v5",
    "databricks_spark_env_vars": "AWS_SECRET_ACCESS_KEY={{secrets/scoring/key}}\r\nLEVEL=a=b",
    "databricks_libraries": "scikit-learn==1.5.2\r\npandas>=2,<3",
    "databricks_max_platform_retries": "0",
    "kubernetes_staging": "s3://of/another/type",
    "max_instances": "20",
    "environments": "build",
}
KUBERNETES = {
    "name": "pods",
    "type": "kubernetes",
    "kubernetes_image": "registry.example.com/sparkscore:1",
    "kubernetes_staging": "s3://scoring/staging",
    "kubernetes_operator": "apache",
    "kubernetes_environment_from_secrets": "one\r\ntwo",
    "kubernetes_node_selector": "pool=scoring",
    "kubernetes_driver_cores": "2",
}
RUN = {
    "platform": "databricks",
    "run_id": "884723",
    "url": "https://adb-1.azuredatabricks.net/jobs/1/runs/884723",
    "state": "pending",
    "message": f"Waiting for machines {HOSTILE}",
    "folder": "s3://scoring/staging/far",
    "options": {},
    "run": 0,
    "token": "t",
    "document": {},
}


@pytest.fixture
def visitor(workspace: Workspace) -> Iterator[Visitor]:
    with visiting(workspace) as found:
        yield found


def add_far_job(workspace: Workspace, name: str = "far", **fields: Any) -> None:
    """A job on a platform; its driver has said nothing yet unless ``fields`` say otherwise."""
    remote = {**RUN, **fields.pop("remote", {})}
    compute = {"name": "dbx", "master": None}
    add_job(workspace, name, **{"summary": None, "remote": remote, "compute": compute, **fields})


def test_form__makes_computes_of_platforms(workspace: Workspace, visitor: Visitor) -> None:
    assert visitor.send("/computes/register", DATABRICKS).place == "/studio/computes/dbx"
    document = workspace.computes.get("dbx").document
    assert document["spark_env_vars"] == {
        "AWS_SECRET_ACCESS_KEY": "{{secrets/scoring/key}}",
        "LEVEL": "a=b",
    }
    assert document["libraries"] == ["scikit-learn==1.5.2", "pandas>=2,<3"]
    assert (document["max_platform_retries"], document["max_instances"]) == (0, 20)
    assert (document["staging"], document["environments"]) == ("s3://scoring/staging", "build")
    assert visitor.send("/computes/register", KUBERNETES).place == "/studio/computes/pods"
    document = workspace.computes.get("pods").document
    assert (document["operator"], document["driver_cores"]) == ("apache", 2)
    assert document["environment_from_secrets"] == ["one", "two"]
    assert document["node_selector"] == {"pool": "scoring"}


@pytest.mark.parametrize("given", [DATABRICKS, KUBERNETES], ids=["databricks", "kubernetes"])
def test_change__sent_as_it_stands_changes_nothing(
    workspace: Workspace, visitor: Visitor, given: dict[str, str]
) -> None:
    visitor.send("/computes/register", given)
    made = workspace.computes.get(given["name"]).document
    text = visitor.get(f"/computes/{given['name']}").text
    change = find_link(text, "/computes/register?")
    fields = read_fields(visitor.get(change).text, "form card")
    workspace.computes.delete(given["name"])
    assert visitor.send("/computes/register", fields).status == 303
    assert workspace.computes.get(given["name"]).document == made


def find_link(text: str, start: str) -> str:
    """Where a page leads to, below Studio's address."""
    rest = text.partition(f'href="/studio{start}')[2]
    assert rest, f"the page has no link to {start}"
    return start + rest.partition('"')[0].replace("&amp;", "&")


def test_change__is_not_offered_where_the_form_would_lose_a_key(
    workspace: Workspace, visitor: Visitor
) -> None:
    visitor.send("/computes/register", KUBERNETES)
    kept = workspace.computes.get("pods").document
    assert "/computes/register?" in visitor.get("/computes/pods").text
    workspace.computes.create({**kept, "location": "west"})
    assert "/computes/register?" not in visitor.get("/computes/pods").text


def test_form__says_all_that_is_wrong_beside_its_fields(visitor: Visitor) -> None:
    wrong = {
        "name": "dbx",
        "type": "databricks",
        "databricks_host": "adb",
        "databricks_spark_env_vars": "no pair",
        "databricks_timeout_seconds": "soon",
        "max_instances": "0",
    }
    seen = visitor.send("/computes/register", wrong)
    errors = find_errors(seen.text)
    assert (seen.status, set(errors)) == (
        422,
        {
            *("databricks_host", "databricks_staging", "databricks_spark_version"),
            *("databricks_spark_env_vars", "databricks_timeout_seconds", "max_instances"),
        },
    )
    assert errors["databricks_host"].startswith("Host must be the address")
    assert '<details class="more wide" open>' in seen.text
    lacking = {**DATABRICKS, "databricks_node_type_id": ""}
    errors = find_errors(visitor.send("/computes/register", lacking).text)
    assert set(errors) == {"databricks_node_type_id"}
    assert "--set" not in errors["databricks_node_type_id"]
    assert set(find_errors(visitor.send("/computes/register", {"type": "kubernetes"}).text)) == {
        *("name", "kubernetes_image", "kubernetes_staging"),
    }


def test_form__takes_no_secret(workspace: Workspace, visitor: Visitor) -> None:
    given = {**DATABRICKS, "databricks_spark_env_vars": "DB_PASSWORD=hunter2"}
    errors = find_errors(visitor.send("/computes/register", given).text)
    assert set(errors) == {"databricks_spark_env_vars"}
    assert "hunter2" not in errors["databricks_spark_env_vars"]
    assert "dbx" not in [one.name for one in workspace.computes.list()]


def test_page__has_all_settings_and_yaml_that_makes_the_same(
    workspace: Workspace, visitor: Visitor
) -> None:
    visitor.send("/computes/register", DATABRICKS)
    text = visitor.get("/computes/dbx").text
    for shown in ("Standard_D8ds_v5", "pandas&gt;=2,&lt;3", "{{secrets/scoring/key}}", "dedicated"):
        assert shown in text
    written = text.partition('<pre class="source" tabindex="0">')[2].partition("</pre>")[0]
    for escaped, letter in (("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", '"')):
        written = written.replace(escaped, letter)
    again = load_document(ComputeSpec, yaml.safe_load(written)).spec.to_document()
    assert again == workspace.computes.get("dbx").document


def test_page__lists_the_jobs_that_ran_on_it(workspace: Workspace, visitor: Visitor) -> None:
    visitor.send("/computes/register", DATABRICKS)
    assert "No jobs yet" in visitor.get("/computes/dbx").text
    add_far_job(workspace, status="Failed")
    add_job(workspace, "near")
    text = visitor.get("/computes/dbx").text
    assert ("/jobs/far" in text, "/jobs/near" in text) == (True, False)
    assert "/jobs/near" in visitor.get("/computes/local").text


def test_job__on_a_platform_shows_its_run(workspace: Workspace, visitor: Visitor) -> None:
    add_far_job(workspace, status="Failed", remote={"state": "failed"})
    for tab in ("", "/settings", "/logs"):
        text = visitor.get(f"/jobs/far{tab}").text
        assert f'<a href="{RUN["url"]}" rel="noreferrer">884723</a>' in text
        assert '<span class="tag">failed</span>' in text
        assert 'href="/studio/computes/dbx"' in text
        assert "<script>alert" not in text
    text = visitor.get("/jobs/far/settings").text
    assert "Waiting for machines &lt;script&gt;" in text
    assert "s3://scoring/staging/far" in text


def test_job__link_that_is_none_is_text(workspace: Workspace, visitor: Visitor) -> None:
    add_far_job(workspace, status="Failed", remote={"url": "javascript:alert(1)"})
    for tab in ("", "/settings"):
        assert "javascript:" not in visitor.get(f"/jobs/far{tab}").text
    local = {"name": "local[2]", "master": None}
    add_job(workspace, "near", compute=local)
    assert "/computes/local" not in visitor.get("/jobs/near").text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("NotStarted", "Waits for its launcher."),
        ("Preparing", "staging folder"),
        ("Provisioning", "Databricks has taken the run"),
        ("Running", "Spark starts"),
    ],
)
def test_job__says_what_it_waits_for(workspace: Workspace, status: str, words: str) -> None:
    add_far_job(workspace, status="Failed")
    ended = workspace.jobs.get("far")
    job = Job(dataclasses.replace(ended.record, status=status), workspace, None, ())
    assert words in make_overview(job, Selection()).wait


@pytest.mark.slow
def test_compute__is_added_changed_and_deleted_in_a_browser(studio: str, page: Page) -> None:
    page.goto(f"{studio}/computes")
    page.get_by_role("link", name="Add").click()
    page.locator("#name").fill("far")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#master-why")).to_be_visible()
    page.locator("#type").select_option("databricks")
    expect(page.get_by_label("Master")).to_be_hidden()
    page.get_by_label("Host").fill("https://adb-1.azuredatabricks.net")
    page.locator("#databricks_staging").fill("s3://scoring/staging")
    page.locator("#databricks_spark_version").fill("16.4.x-scala2.12")
    page.get_by_text("More settings").locator("visible=true").press("Enter")
    page.get_by_label("Libraries").fill("scikit-learn==1.5.2")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#databricks_node_type_id-why")).to_be_visible()
    check_looks(page)
    page.get_by_label("Policy id").fill("E05")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="far")).to_be_visible()
    expect(page.get_by_text("scikit-learn==1.5.2", exact=True)).to_be_visible()
    check_looks(page)
    page.get_by_role("link", name="Change").click()
    page.locator("#type").select_option("local")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("This machine", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Compute far is deleted.")).to_be_visible()


@pytest.mark.slow
def test_job__on_a_platform_looks(studio: str, page: Page, workspace: Workspace) -> None:
    add_far_job(workspace, status="Failed", remote={"message": HOSTILE * 20})
    page.goto(f"{studio}/jobs/far/settings")
    expect(page.get_by_role("link", name="884723").first).to_be_visible()
    check_looks(page)
