"""Publishes what was staged in the form that the deployment asks for. Spark driver process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from sparkscore.driver.account import JobAccount
from sparkscore.driver.publish.delta_folder import publish_delta_folder
from sparkscore.driver.publish.delta_table import publish_delta
from sparkscore.driver.publish.gate import PublishGate
from sparkscore.driver.publish.in_store import publish_in_store
from sparkscore.driver.publish.published import PublishedOutput
from sparkscore.driver.publish.script_files import publish_folder
from sparkscore.driver.publish.single_file import publish_file
from sparkscore.errors import PublishError
from sparkscore.executor.attempt_folders import remove_tree
from sparkscore.listing.location import find_local_path
from sparkscore.messages.launch import LaunchMessage, OutputMessage

_UNKNOWN = -1
"""Rows of a commit that does not say."""

SCRIPT_FILES = "files"
"""Folder of a job folder with the files that scripts wrote beside their ``append_row`` results."""


def publish_output(
    spark: SparkSession,
    launch: LaunchMessage,
    *,
    staged: Sequence[Path],
    schema: pa.Schema | None,
    account: JobAccount,
    gate: PublishGate,
) -> PublishedOutput:
    """Publish all or nothing; raises what the form's own function raises, and PublishError
    (ROW_COUNT_MISMATCH) for an output of this job that does not fit the account.

    What this job has published before, in a run that was killed then, is told of again.
    """
    published = _publish_somewhere(
        spark, launch, staged=staged, schema=schema, account=account, gate=gate
    )
    _check_published(published, launch, account)
    return published


def _check_published(
    published: PublishedOutput, launch: LaunchMessage, account: JobAccount
) -> None:
    """What an earlier driver published may rest on results that were lost with it."""
    expected_rows = account.counts.rows
    if launch.output.action != "append_row" or published.rows in (expected_rows, _UNKNOWN):
        return
    raise PublishError(
        f"the output {launch.output.path}, which an earlier driver of this job published, has "
        f"{published.rows} rows and the account {expected_rows}: results that it was made of were "
        "lost with that driver; move the output away and resume the job",
        condition="ROW_COUNT_MISMATCH",
        rows=published.rows,
        expected_rows=expected_rows,
    )


def _publish_somewhere(
    spark: SparkSession,
    launch: LaunchMessage,
    *,
    staged: Sequence[Path],
    schema: pa.Schema | None,
    account: JobAccount,
    gate: PublishGate,
) -> PublishedOutput:
    def publish(output: OutputMessage) -> PublishedOutput:
        placed = replace(launch, output=output)
        return _publish(spark, placed, staged=staged, schema=schema, account=account, gate=gate)

    output = launch.output
    if output.table is not None or find_local_path(output.path) is not None:
        return publish(output)
    scratch = Path(launch.job_folder, "scratch")
    return publish_in_store(
        output, job_name=launch.job_name, scratch=scratch, publish_locally=publish, gate=gate
    )


def _publish(
    spark: SparkSession,
    launch: LaunchMessage,
    *,
    staged: Sequence[Path],
    schema: pa.Schema | None,
    account: JobAccount,
    gate: PublishGate,
) -> PublishedOutput:
    output, job_name = launch.output, launch.job_name
    if output.action == "summary_only":
        return publish_folder(
            folders=account.script_folders, output=output, job_name=job_name, gate=gate
        )
    if account.script_folders:
        kept = replace(output, path=str(Path(launch.job_folder, SCRIPT_FILES)))
        gate.confirm()
        remove_tree(kept.path)
        unannounced = replace(gate, file=None)
        publish_folder(
            folders=account.script_folders, output=kept, job_name=job_name, gate=unannounced
        )
    if schema is None:
        raise PublishError(
            "the successful mini-batches returned no rows and so no columns: nothing to publish",
            condition="NO_ROWS",
        )
    if output.format == "delta" and launch.relay and output.table is None:
        return publish_delta_folder(
            staged_files=staged,
            schema=schema,
            output=_table_folder(output),
            job_name=job_name,
            user_metadata=_user_metadata(launch),
            expected_rows=account.counts.rows,
            gate=gate,
        )
    if output.format == "delta":
        return publish_delta(
            spark,
            staged_files=staged,
            schema=schema,
            output=_table_folder(output),
            job_name=job_name,
            user_metadata=_user_metadata(launch),
            expected_rows=account.counts.rows,
            gate=gate,
            is_relayed=launch.relay,
        )
    return publish_file(
        staged_files=staged,
        schema=schema,
        output=output,
        target=Path(output.path, output.file_name),
        expected_rows=account.counts.rows,
        job_name=job_name,
        gate=gate,
    )


def _table_folder(output: OutputMessage) -> OutputMessage:
    """A Delta table is the output folder itself, or the folder named in it."""
    if output.table is not None:
        return output
    return replace(output, path=str(Path(output.path, output.file_name)), file_name="")


def _user_metadata(launch: LaunchMessage) -> dict[str, Any]:
    """What a Delta commit tells of the job."""
    return {
        "job": launch.job_name,
        "deployment": launch.settings.get("name", ""),
        "model": launch.scoring.model_name,
        "deployment_digest": launch.scoring.digest,
    }
