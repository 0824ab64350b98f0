"""What a job will do: mini-batches, tasks, waves, the Spark application. Any process, pure.

Nothing here asks a clock, a network or Spark; the same input gives the same plan.
"""

from sparkscore.plan.explain import PlanExplanation, explain_plan, render_plan
from sparkscore.plan.machine import Machine, read_machine
from sparkscore.plan.scoring_plan import ScoringPlan, plan_scoring, read_plan, write_plan
from sparkscore.plan.spark_application import SparkApplication, plan_spark_application
from sparkscore.plan.waves import TaskRange, WaveLimits, plan_pending, plan_wave, remove_tasks

__all__ = [
    "Machine",
    "PlanExplanation",
    "ScoringPlan",
    "SparkApplication",
    "TaskRange",
    "WaveLimits",
    "explain_plan",
    "plan_pending",
    "plan_scoring",
    "plan_spark_application",
    "plan_wave",
    "read_machine",
    "read_plan",
    "remove_tasks",
    "render_plan",
    "write_plan",
]
