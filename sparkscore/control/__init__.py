"""The use cases behind the command line; also the public Python API. Control plane.

Names are imported on first use, so that ``import sparkscore.control`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkscore.control.compile import CompiledJob as CompiledJob
    from sparkscore.control.compile import compile_deployment as compile_deployment
    from sparkscore.control.endpoints.entities import Deployment as Deployment
    from sparkscore.control.endpoints.entities import Endpoint as Endpoint
    from sparkscore.control.endpoints.request import InvokeRequest as InvokeRequest
    from sparkscore.control.generate import generate_script as generate_script
    from sparkscore.control.jobs.job import Job as Job
    from sparkscore.control.one_shot import MadeJob as MadeJob
    from sparkscore.control.one_shot import PreparedRun as PreparedRun
    from sparkscore.control.one_shot import make_job as make_job
    from sparkscore.control.one_shot import prepare_run as prepare_run
    from sparkscore.control.one_shot import run_job as run_job
    from sparkscore.control.options import CompileOptions as CompileOptions
    from sparkscore.control.options import RunOptions as RunOptions
    from sparkscore.control.planning import PlannedRun as PlannedRun
    from sparkscore.control.planning import plan_run as plan_run
    from sparkscore.control.resume import find_completed_job as find_completed_job
    from sparkscore.control.resume import resume_job as resume_job
    from sparkscore.control.watch import Cancellation as Cancellation
    from sparkscore.control.workspace import Workspace as Workspace
    from sparkscore.messages.status import StatusMessage as StatusMessage
    from sparkscore.messages.status import SummaryMessage as SummaryMessage

_HOMES = {
    "Cancellation": "sparkscore.control.watch",
    "CompileOptions": "sparkscore.control.options",
    "CompiledJob": "sparkscore.control.compile",
    "Deployment": "sparkscore.control.endpoints.entities",
    "Endpoint": "sparkscore.control.endpoints.entities",
    "InvokeRequest": "sparkscore.control.endpoints.request",
    "Job": "sparkscore.control.jobs.job",
    "MadeJob": "sparkscore.control.one_shot",
    "PlannedRun": "sparkscore.control.planning",
    "PreparedRun": "sparkscore.control.one_shot",
    "RunOptions": "sparkscore.control.options",
    "StatusMessage": "sparkscore.messages.status",
    "SummaryMessage": "sparkscore.messages.status",
    "Workspace": "sparkscore.control.workspace",
    "compile_deployment": "sparkscore.control.compile",
    "find_completed_job": "sparkscore.control.resume",
    "generate_script": "sparkscore.control.generate",
    "make_job": "sparkscore.control.one_shot",
    "plan_run": "sparkscore.control.planning",
    "prepare_run": "sparkscore.control.one_shot",
    "resume_job": "sparkscore.control.resume",
    "run_job": "sparkscore.control.one_shot",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
