"""One of many processes that use a workspace at once; prints what it did as JSON lines."""

from __future__ import annotations

import contextlib
import json
import random
import sys
from pathlib import Path
from typing import Any

from sparkscore.control.endpoints.request import InvokeRequest
from sparkscore.control.workspace import Workspace
from sparkscore.errors import NotFoundError, StateError
from tests.control.endpoints.samples import deployment


def main() -> None:
    """``concurrent_worker FOLDER NUMBER STEPS``: tag, deploy, set the default, invoke, delete."""
    folder, number, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    workspace = Workspace.open(folder)
    chance = random.Random(number)
    own = f"own-{number}"
    workspace.batch_deployments.create(deployment(own))
    for step in range(steps):
        workspace.batch_endpoints.update("mood", overrides=[f"tags.p{number}s{step}=x"])
        say("tag", f"p{number}s{step}")
        with contextlib.suppress(StateError):
            chance.choice(ACTIONS)(workspace, number, step)
    request = InvokeRequest(deployment_name=own, input="in", job_name=f"job-{number}")
    say("job", workspace.batch_endpoints.invoke("mood", request).name)
    with contextlib.suppress(NotFoundError):
        workspace.batch_deployments.delete(f"passing-{number}", "mood")


def make_and_delete(workspace: Workspace, number: int, step: int) -> None:
    del step
    workspace.batch_deployments.create(deployment(f"passing-{number}"))
    workspace.batch_deployments.delete(f"passing-{number}", "mood", new_default=None)


def set_default(workspace: Workspace, number: int, step: int) -> None:
    del step
    workspace.batch_endpoints.update("mood", defaults=[f"deployment_name=own-{number}"])


def change_deployment(workspace: Workspace, number: int, step: int) -> None:
    workspace.batch_deployments.update(
        f"own-{number}", "mood", overrides=[f"tags.s{step}=x", "mini_batch_size=3"]
    )
    say("deployment", f"own-{number}", tag=f"s{step}")


def delete_own_endpoint(workspace: Workspace, number: int, step: int) -> None:
    name = f"brief-{number}-{step}"
    workspace.batch_endpoints.create(name=name)
    workspace.batch_deployments.create(
        deployment("a-deployment", endpoint_name=name), set_default=True
    )
    workspace.batch_endpoints.delete(name)


ACTIONS = (make_and_delete, set_default, change_deployment, delete_own_endpoint)


def say(kind: str, name: str, **details: Any) -> None:
    print(json.dumps({"kind": kind, "name": name, **details}), flush=True)


if __name__ == "__main__":
    main()
