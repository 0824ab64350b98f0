"""The server against its own OpenAPI document.

schemathesis sends what the document allows and what it does not, with all its checks: no answer may
be a 5xx, or have a status, type, header or body that is not documented.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore.control import InvokeRequest
from sparkscore.control.access.settings import ServerSettings
from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.rest.serving import serving

CONFIG = Path(__file__).with_name("schemathesis.toml")
DEADLINE_SECONDS = 900


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_SECONDS + 60)
def test_server__keeps_to_its_document(workspace: Workspace, tmp_path: Path) -> None:
    store = Path(workspace.datastores.get_default().uri)
    request = InvokeRequest(
        input=str(store / "in"), job_name="first", output_path=str(store / "out")
    )
    workspace.batch_endpoints.invoke("mood", request)
    assert workspace.jobs.get("first").wait(60).status == "Completed"
    token = workspace.tokens.create(role="owner").secret
    settings = ServerSettings(requests_per_minute=10_000_000)
    with serving(create_app(workspace, ServerConfig(settings=settings))) as address:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
                *("run", f"{address}/openapi.json", "--phases", "coverage,fuzzing"),
                *("-H", f"Authorization: Bearer {token}", "--no-color"),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=DEADLINE_SECONDS,
        )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
