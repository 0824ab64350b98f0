"""Plans a job and runs nothing. Control plane."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkscore.control.deployment import PreparedDeployment, prepare_deployment
from sparkscore.control.environments.job import (
    choose_mode,
    is_local_master,
    settle_environment,
)
from sparkscore.control.launch import JobPlace
from sparkscore.control.one_shot import check_place, plan_application, plan_place
from sparkscore.control.options import RunOptions
from sparkscore.listing import Listing, list_inputs, list_named
from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import InputMessage
from sparkscore.plan import PlanExplanation, explain_plan, plan_scoring, render_plan
from sparkscore.plan.machine import read_machine
from sparkscore.targets.registry import get_compute

if TYPE_CHECKING:
    from sparkscore.control.endpoints.request import InvokeRequest
    from sparkscore.control.workspace import Workspace

ASSUMED_CLUSTER_SLOTS = 2
"""Slots of a cluster that the deployment leaves open; Spark assumes no fewer."""


@dataclass(frozen=True)
class PlannedRun:
    """The plan of a job that was not made; ``messages`` are for its user."""

    explanation: PlanExplanation
    messages: tuple[str, ...]

    def render(self) -> str:
        """The plan as text."""
        return render_plan(self.explanation)

    def render_json(self) -> str:
        """The plan as JSON."""
        return to_json(self.explanation, indent=2)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON types."""
        content: dict[str, Any] = json.loads(self.render_json())
        return content


def plan_run(options: RunOptions) -> PlannedRun:
    """List the input and plan its job as ``run`` would; makes no folder and starts no Java.

    Raises what ``prepare_run`` would, but for a target that cannot be reached.
    """
    compute = get_compute(options.compute)
    deployment = settle_environment(
        prepare_deployment(options),
        mode=choose_mode(),
        is_local=is_local_master(compute.master),
    )
    place = plan_place(options, deployment=deployment, compute=compute)
    check_place(place)
    return _explain(deployment, place)


def plan_invocation(workspace: Workspace, endpoint_name: str, request: InvokeRequest) -> PlannedRun:
    """List the input and plan its job as ``invoke`` would; records no job and starts no Java.

    Raises what ``invoke`` would.
    """
    from sparkscore.control.endpoints.job_plan import plan_job
    from sparkscore.control.endpoints.request import settle_request

    planned = plan_job(workspace, endpoint_name, settle_request(request), digest="")
    retried = planned.retried
    return _explain(
        planned.deployment, planned.place, names=None if retried is None else retried.paths
    )


def _explain(
    deployment: PreparedDeployment, place: JobPlace, *, names: Iterable[str] | None = None
) -> PlannedRun:
    """The plan of a job that passed ``check_place``; ``names`` are its inputs if it names them."""
    application = plan_application(
        deployment, place=place, master=place.master, machine=read_machine()
    )
    slots = application.slots or ASSUMED_CLUSTER_SLOTS
    settings = deployment.spec.settings
    listing = _list(place.input, names)
    plan = plan_scoring(
        listing.files,
        mini_batch_size=settings.mini_batch_size,
        root=listing.root,
        transport=listing.transport,
        slots=slots,
        skipped_hidden_count=listing.skipped_hidden_count,
        skipped_filtered_count=listing.skipped_filtered_count,
    )
    explanation = explain_plan(
        plan,
        slots=slots,
        checkpoint_interval_seconds=settings.checkpoint_interval,
        slots_reason=application.slots_reason,
        driver_memory_bytes=application.driver_memory_bytes,
        task_attempts=application.task_attempts,
    )
    return PlannedRun(explanation=explanation, messages=deployment.warnings)


def _list(given: InputMessage, names: Iterable[str] | None) -> Listing:
    if names is not None:
        return list_named(given.uri, names, options=given.options)
    return list_inputs(
        given.uri,
        limit=given.limit,
        options=given.options,
        include=given.include,
        exclude=given.exclude,
    )
