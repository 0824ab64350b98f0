"""People's whole way through Studio, from an empty workspace to results, with real scoring."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression

from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from sparkscore.studio.app import add_studio
from tests.rest.serving import serving
from tests.studio.looks import check_looks

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(600)]

JOB_MILLISECONDS = 240_000
SCRIPT = """\
import os
from pathlib import Path
import numpy as np
from PIL import Image

def init():
    global brightest
    file = next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("limit.txt"))
    brightest = float(file.read_text())

def run(mini_batch):
    rows = []
    for path in mini_batch:
        pixels = np.asarray(Image.open(path), dtype=float)
        rows.append({"file": os.path.basename(path), "ink": round(float(pixels.mean()), 2)})
    return rows
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """An empty workspace."""
    monkeypatch.chdir(tmp_path)
    opened = Workspace.open(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def studio(workspace: Workspace) -> Iterator[str]:
    """The address of Studio without a login."""
    app = create_app(workspace, ServerConfig(no_auth=True))
    add_studio(app)
    with serving(app) as address:
        yield f"{address}/studio"


@pytest.fixture(autouse=True)
def be_patient(page: Page) -> Iterator[None]:
    """The first model makes MLflow's registry, which takes its time."""
    page.set_default_timeout(90_000)
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


def upload(page: Page, field: str, folder: Path) -> None:
    """Choose a folder and wait until it was taken."""
    page.locator(f"#{field}_folder").set_input_files(folder)
    expect(page.locator(f"#{field}_result")).to_contain_text("Uploaded")


def go_on(page: Page, step: str) -> None:
    """Press Next until the step of this title is there."""
    page.locator("button.primary", has_text="Next").click()
    expect(page.locator("#step-title")).to_have_text(step)


def wait_for(page: Page, status: str) -> None:
    """The page of a running job renews itself."""
    ended = page.locator("[data-status]").filter(has_text=re.compile("Completed|Failed|Canceled"))
    expect(ended.first).to_have_text(status, timeout=JOB_MILLISECONDS)


def make_mlflow_model(folder: Path) -> Path:
    """A model that adds two numbers."""
    import mlflow

    frame = pd.DataFrame({"left": np.arange(20.0), "right": np.arange(20.0) ** 2})
    fitted = LinearRegression().fit(frame, frame["left"] + frame["right"])
    signature = mlflow.models.infer_signature(frame, fitted.predict(frame))
    mlflow.sklearn.save_model(fitted, folder, signature=signature, pip_requirements=[])
    return folder


def test_no_code__model_to_results(
    studio: str, page: Page, workspace: Workspace, tmp_path: Path
) -> None:
    model = make_mlflow_model(tmp_path / "adder")
    inputs = tmp_path / "tables"
    inputs.mkdir()
    for number in range(3):
        (inputs / f"{number}.csv").write_text("left,right\n1.0,2.0\n10.0,20.0\n")
    page.goto(studio)
    expect(page.get_by_text("No endpoints yet")).to_be_visible()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Models").click()
    page.goto(f"{studio}/models/register")
    page.get_by_label("Name", exact=True).fill("adder")
    upload(page, "uploaded", model)
    page.get_by_role("button", name="Register").click()
    page.get_by_role("link", name="Deploy to batch endpoint").first.click()
    page.get_by_label("Name", exact=True).fill("sums")
    go_on(page, "Deployment")
    page.get_by_label("Name", exact=True).fill("sums-v1")
    go_on(page, "Environment and script")
    expect(page.get_by_text("Nothing is needed here")).to_be_visible()
    go_on(page, "Compute")
    go_on(page, "Review")
    page.locator("button.primary", has_text="Create").click()
    page.wait_for_url(f"{studio}/endpoints/sums")
    page.get_by_role("link", name="Create job").first.click()
    page.get_by_label("Upload from this computer").check()
    upload(page, "input_upload", inputs)
    page.get_by_role("button", name="Preview plan").click()
    expect(page.locator("#plan")).to_contain_text("3 files")
    page.get_by_role("button", name="Create job").click()
    wait_for(page, "Completed")
    page.locator(".tabs a", has_text="Outputs + logs").click()
    table = page.get_by_role("region", name="First rows").or_(page.locator("#rows-title")).first
    expect(table).to_be_visible()
    with page.expect_download() as got:
        page.get_by_role("link", name="Download named-outputs/score/predictions.csv").click()
    with open(got.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    sums = sorted(round(float(row[-1]), 6) for row in rows if row[-1][-1:].isdigit())
    assert sums == [3.0, 3.0, 3.0, 30.0, 30.0, 30.0]
    (job,) = workspace.jobs.list()
    assert job.input_counts == {"total": 3, "succeeded": 3, "failed": 0, "unprocessed": 0}


def make_images(folder: Path) -> Path:
    """Twelve digits as images, and a file that is none."""
    folder.mkdir()
    digits = load_digits()
    for number in range(12):
        pixels = (digits.images[number] * 15).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"digit-{number:02d}.png")
    (folder / "digit-99.png").write_bytes(b"this is no image")
    return folder


def test_script__deployments_failures_and_second_job(
    studio: str, page: Page, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "limit").mkdir()
    (tmp_path / "limit" / "limit.txt").write_text("255")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT)
    images = make_images(tmp_path / "digits")
    page.goto(f"{studio}/models/register")
    page.get_by_label("Name", exact=True).fill("limit")
    upload(page, "uploaded", tmp_path / "limit")
    page.get_by_role("button", name="Register").click()
    page.goto(f"{studio}/data/register")
    page.get_by_label("Name", exact=True).fill("digits")
    upload(page, "uploaded", images)
    page.get_by_role("button", name="Register").click()
    page.goto(f"{studio}/create")
    page.get_by_label("Name", exact=True).fill("ink")
    go_on(page, "Model")
    page.locator("#model").select_option("azureml:limit:1")
    go_on(page, "Deployment")
    page.get_by_label("Name", exact=True).fill("ink-v1")
    page.locator('[name="settings.mini_batch_size"]').fill("2")
    page.locator('[name="settings.retry_settings.max_retries"]').fill("1")
    go_on(page, "Environment and script")
    page.locator("#code_from").select_option("upload")
    upload(page, "code_uploaded", tmp_path / "code")
    go_on(page, "Compute")
    go_on(page, "Review")
    page.locator("button.primary", has_text="Create").click()
    page.wait_for_url(f"{studio}/endpoints/ink")
    start_job(page, "azureml:digits:1")
    wait_for(page, "Completed")
    check_looks(page)
    page.locator(".tabs a", has_text="Failures").click()
    expect(page.locator("main")).to_contain_text("digit-99.png")
    page.locator(".tabs a", has_text="Outputs + logs").click()
    expect(page.locator("main img").first).to_be_visible()
    check_looks(page)
    (job,) = workspace.jobs.list()
    assert job.input_counts == {"total": 13, "succeeded": 12, "failed": 1, "unprocessed": 0}
    add_second_deployment(page, studio)
    delete_endpoint(page, studio)
    assert workspace.batch_endpoints.list() == []
    assert [left.name for left in workspace.jobs.list()] == [job.name]
    page.goto(f"{studio}/jobs/{job.name}/settings")
    expect(page.get_by_role("heading", level=1)).to_contain_text(job.name)
    expect(page.locator("main")).to_contain_text("limit")


def start_job(page: Page, asset: str) -> None:
    page.get_by_role("link", name="Create job").first.click()
    page.get_by_label("Data asset", exact=True).select_option(asset)
    page.get_by_label("Choose the output location").check()
    page.get_by_label("Folder in it").fill("results/first")
    page.get_by_label("Override deployment settings for this job").check()
    page.get_by_label("Error threshold").fill("5")
    page.get_by_role("button", name="Create job").click()


def add_second_deployment(page: Page, studio: str) -> None:
    """The same model and code under another name, which becomes the default."""
    page.goto(f"{studio}/endpoints/ink/deployments")
    page.get_by_role("link", name="Add deployment").first.click()
    page.locator("#model").select_option("azureml:limit:1")
    go_on(page, "Deployment")
    page.get_by_label("Name", exact=True).fill("ink-v2")
    go_on(page, "Environment and script")
    page.locator("#code").select_option(index=1)
    expect(page.locator("#scoring_script")).to_have_value("score.py")
    go_on(page, "Compute")
    go_on(page, "Review")
    page.locator("button.primary", has_text="Create").click()
    page.goto(f"{studio}/endpoints/ink/deployments")
    page.locator("#default").select_option("ink-v2")
    page.get_by_role("button", name="Update").click()
    row = page.get_by_role("row").filter(has_text="ink-v2")
    expect(row.get_by_text("Default", exact=True)).to_be_visible()
    check_looks(page)


def delete_endpoint(page: Page, studio: str) -> None:
    page.goto(f"{studio}/endpoints/ink")
    page.locator("button.quiet-danger", has_text="Delete").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Its 2 deployments are deleted too")
    expect(dialog).to_contain_text("Jobs and their results stay")
    dialog.locator('button[type="submit"]').click()
    page.wait_for_url(f"{studio}/endpoints")
    expect(page.get_by_text("No endpoints yet")).to_be_visible()
