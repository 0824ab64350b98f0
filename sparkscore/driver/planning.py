"""What a launch message asks for: inputs, plan, tasks, schema of results. Spark driver process."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from sparkscore.driver.job_folder import JobFolder
from sparkscore.errors import NoSuccessfulInputError
from sparkscore.executor.result_schema import arrow_schema, schema_from_bytes
from sparkscore.executor.task import TaskContext
from sparkscore.listing import Listing, list_inputs, list_named
from sparkscore.messages.input_list import read_input_list
from sparkscore.messages.launch import LaunchMessage
from sparkscore.plan.scoring_plan import ScoringPlan, plan_scoring


def list_of_launch(
    launch: LaunchMessage, folder: JobFolder, *, check: Callable[[], None]
) -> Listing:
    """The inputs of a job; raises what ``list_inputs`` and ``check`` raise, or MessageError."""
    inputs = launch.input
    if inputs.list_file is not None:
        named = read_input_list(folder.path / inputs.list_file)
        return list_named(inputs.uri, named, options=inputs.options, check=check)
    return list_inputs(
        inputs.uri,
        limit=inputs.limit,
        options=inputs.options,
        include=inputs.include,
        exclude=inputs.exclude,
        check=check,
    )


def plan_listing(listing: Listing, launch: LaunchMessage, *, slots: int) -> ScoringPlan:
    """The plan of listed inputs for so many tasks at once."""
    return plan_scoring(
        listing.files,
        mini_batch_size=launch.scoring.mini_batch_size,
        root=listing.root,
        transport=listing.transport,
        slots=slots,
        skipped_hidden_count=listing.skipped_hidden_count,
        skipped_filtered_count=listing.skipped_filtered_count,
    )


def make_task_context(
    launch: LaunchMessage, plan: ScoringPlan, *, seconds_left: float
) -> TaskContext:
    """What all tasks of a job have in common; waves put in the rest."""
    return TaskContext(
        scoring=launch.scoring,
        input_root=plan.root,
        transport=plan.transport,
        job_folder=launch.job_folder,
        schema=None,
        failed_inputs_left=None,
        failed_mini_batches_left=None,
        seconds_left=seconds_left,
        wave=None,
        finished=None,
        input_options=launch.input.options,
    )


def find_schema(launch: LaunchMessage, folder: JobFolder) -> pa.Schema | None:
    """The result schema if it is known: declared, or pinned by an earlier run."""
    pinned = folder.find_result_schema()
    if pinned is not None:
        return schema_from_bytes(pinned)
    columns = launch.output.schema
    return None if columns is None else arrow_schema(columns)


def check_successes(launch: LaunchMessage, plan: ScoringPlan, *, succeeded_count: int) -> None:
    """Raise NoSuccessfulInputError if there is nothing to publish."""
    if launch.output.action == "append_row" and succeeded_count == 0:
        raise NoSuccessfulInputError(
            f"none of {plan.input_count} inputs succeeded: nothing to publish "
            "(failed_inputs.csv has the reasons)"
        )
