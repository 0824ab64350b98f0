"""What a job will do: mini-batches, tasks, waves, the Spark application. Any process, pure.

Nothing here asks a clock, a network or Spark; the same input gives the same plan. Names are
imported on first use: a launcher needs the Spark application only, without numpy and pyarrow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkscore.plan.explain import PlanExplanation as PlanExplanation
    from sparkscore.plan.explain import explain_plan as explain_plan
    from sparkscore.plan.explain import render_plan as render_plan
    from sparkscore.plan.machine import Machine as Machine
    from sparkscore.plan.machine import read_machine as read_machine
    from sparkscore.plan.scoring_plan import ScoringPlan as ScoringPlan
    from sparkscore.plan.scoring_plan import plan_scoring as plan_scoring
    from sparkscore.plan.scoring_plan import read_plan as read_plan
    from sparkscore.plan.scoring_plan import write_plan as write_plan
    from sparkscore.plan.spark_application import SparkApplication as SparkApplication
    from sparkscore.plan.spark_application import plan_spark_application as plan_spark_application
    from sparkscore.plan.waves import TaskRange as TaskRange
    from sparkscore.plan.waves import WaveLimits as WaveLimits
    from sparkscore.plan.waves import plan_pending as plan_pending
    from sparkscore.plan.waves import plan_wave as plan_wave
    from sparkscore.plan.waves import remove_tasks as remove_tasks

_HOMES = {
    "Machine": "machine",
    "PlanExplanation": "explain",
    "ScoringPlan": "scoring_plan",
    "SparkApplication": "spark_application",
    "TaskRange": "waves",
    "WaveLimits": "waves",
    "explain_plan": "explain",
    "plan_pending": "waves",
    "plan_scoring": "scoring_plan",
    "plan_spark_application": "spark_application",
    "plan_wave": "waves",
    "read_machine": "machine",
    "read_plan": "scoring_plan",
    "remove_tasks": "waves",
    "render_plan": "explain",
    "write_plan": "scoring_plan",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
