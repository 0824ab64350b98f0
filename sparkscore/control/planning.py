"""Plans a job and runs nothing. Control plane."""

from __future__ import annotations

from dataclasses import dataclass

from sparkscore.control.deployment import prepare_deployment
from sparkscore.control.one_shot import check_place, plan_application, plan_place
from sparkscore.control.options import RunOptions
from sparkscore.listing import list_inputs
from sparkscore.messages.codec import to_json
from sparkscore.plan import PlanExplanation, explain_plan, plan_scoring, render_plan
from sparkscore.plan.machine import read_machine
from sparkscore.targets.registry import get_compute

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


def plan_run(options: RunOptions) -> PlannedRun:
    """List the input and plan its job as ``run`` would; makes no folder and starts no Java.

    Raises what ``prepare_run`` would, but for a target that cannot be reached.
    """
    compute = get_compute(options.compute)
    deployment = prepare_deployment(options)
    place = plan_place(options, deployment=deployment, compute=compute)
    check_place(place)
    application = plan_application(
        deployment, place=place, master=place.master, machine=read_machine()
    )
    slots = application.slots or ASSUMED_CLUSTER_SLOTS
    settings = deployment.spec.settings
    listing = list_inputs(
        place.input.uri,
        limit=place.input.limit,
        options=place.input.options,
        include=place.input.include,
        exclude=place.input.exclude,
    )
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
