"""A job as callers see it. Control plane."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from sparkscore.control.times import render_time
from sparkscore.errors import StateError
from sparkscore.messages.codec import from_dict
from sparkscore.messages.status import StatusMessage, SummaryMessage
from sparkscore.state.job_status import is_terminal
from sparkscore.state.records import JobRecord

if TYPE_CHECKING:
    from pandas import DataFrame

    from sparkscore.control.jobs.mini_batches import MiniBatches
    from sparkscore.control.workspace import Workspace

OnStatus = Callable[[StatusMessage], None]

_PROGRESS = (
    *("mini_batches", "mini_batches_done", "mini_batches_failed", "inputs"),
    *("inputs_succeeded", "inputs_failed", "rows", "inputs_per_second", "eta_seconds", "hint"),
)


@dataclass(frozen=True)
class Job:
    """One scoring of one input, as it was when it was looked at.

    ``progress`` is the driver's last status while the job runs, ``retried_by`` names the jobs that
    score what failed in this one.
    """

    record: JobRecord
    workspace: Workspace = field(repr=False, compare=False)
    progress: StatusMessage | None = None
    retried_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name, unique in its workspace."""
        return self.record.name

    @property
    def status(self) -> str:
        """NotStarted, Queued, Starting, Running, Finalizing, CancelRequested, NotResponding,
        Completed, Failed or Canceled."""
        return self.record.status

    @property
    def is_ended(self) -> bool:
        """Whether the status will not change any more."""
        return is_terminal(self.status)

    @property
    def id(self) -> str:
        """The resource's path."""
        return f"/workspaces/{self.workspace.name}/jobs/{self.name}"

    @property
    def studio_endpoint(self) -> str:
        """The address of the job's page."""
        return f"{self.workspace.config.server_url}/studio/jobs/{self.name}"

    @property
    def summary(self) -> SummaryMessage | None:
        """The account of the whole job, None until it has ended with one."""
        content = self.record.summary
        return None if content is None else from_dict(SummaryMessage, content, where=self.name)

    def refresh(self) -> Job:
        """The job as it is now."""
        return self.workspace.jobs.get(self.name)

    def wait(
        self, timeout_seconds: float | None = None, *, on_status: OnStatus | None = None
    ) -> Job:
        """Block until the job has ended, however it ended; ``on_status`` gets each new status.

        Raises StateError (WAIT_TIMEOUT) after ``timeout_seconds``; the job goes on.
        """
        from sparkscore.control.jobs.stream import stream_job

        return stream_job(
            self.workspace.jobs, self.name, on_status=on_status, timeout_seconds=timeout_seconds
        )

    @overload
    def results(self) -> DataFrame: ...

    @overload
    def results(self, spark: Any) -> Any: ...

    def results(self, spark: Any = None) -> Any:
        """The results of a completed job as a pandas DataFrame, with the types of its output.

        With ``spark``, a session of the caller's, as a DataFrame of that session; tables of a
        catalog and Delta tables with a history need one (SESSION_NEEDED). Raises StateError:
        JOB_NOT_ENDED, JOB_NOT_COMPLETED, NO_RESULTS for a job whose script writes files.
        """
        from sparkscore.control.jobs.results import read_results

        return read_results(self, spark)

    def mini_batches(self) -> MiniBatches:
        """Its mini-batches as far as they are known, while it runs and after.

        Raises StateError (JOB_PRUNED), NotFoundError (JOB_FOLDER_NOT_FOUND), MessageError.
        """
        from sparkscore.control.jobs.mini_batches import find_mini_batches

        return find_mini_batches(self)

    def to_dict(self) -> dict[str, Any]:
        """What ``job show`` prints."""
        record = self.record
        return {
            "name": record.name,
            "id": self.id,
            "type": "batch",
            "display_name": record.display_name,
            "description": record.description,
            "status": record.status,
            "endpoint_name": record.endpoint_name,
            "deployment_name": record.deployment_name,
            "experiment_name": record.experiment_name,
            "creation_context": {
                "created_at": render_time(record.created_at),
                "last_modified_at": render_time(record.updated_at),
            },
            "start_time": _render(record.started_at),
            "end_time": _render(record.ended_at),
            "inputs": record.inputs,
            "outputs": record.outputs,
            "compute": record.compute,
            "platform_run": self.platform_run,
            "deployment": record.deployment,
            "input_counts": self.input_counts,
            "progress": self._progress(),
            "error": record.error,
            "earlier_runs": [_render_run(run) for run in record.earlier_runs],
            "retry_of": record.retry_of,
            "retried_by": list(self.retried_by),
            "tags": record.tags,
            "properties": {**self._get_properties(), **record.properties},
            "is_archived": record.is_archived,
            "job_folder": record.folder,
            "interactionEndpoints": {"Studio": {"endpoint": self.studio_endpoint}},
            "services": {
                **self._find_platform_service(),
                "Studio": {"type": "Studio", "endpoint": self.studio_endpoint},
                "Tracking": {
                    "type": "Tracking",
                    "endpoint": self.workspace.config.shown_tracking_uri,
                },
            },
        }

    @property
    def platform_run(self) -> dict[str, Any] | None:
        """The run on a platform: platform, run_id, url of its page, state and message there, and
        the folder of its files; None for a job whose driver runs here."""
        remote = self.record.remote
        names = ("platform", "run_id", "url", "state", "message", "folder")
        return None if remote is None else {name: remote.get(name) for name in names}

    def _find_platform_service(self) -> dict[str, Any]:
        run = self.platform_run
        if run is None or run["url"] is None:
            return {}
        name = str(run["platform"]).capitalize()
        return {name: {"type": name, "endpoint": run["url"]}}

    @property
    def input_counts(self) -> dict[str, int] | None:
        """Inputs: total, succeeded, failed and unprocessed, once the job has ended with them."""
        summary = self.record.summary
        if summary is None:
            return None
        return {**summary["inputs"], "unprocessed": summary.get("unprocessed_inputs", 0)}

    def _progress(self) -> dict[str, Any] | None:
        if self.progress is None or self.is_ended:
            return None
        content = dataclasses.asdict(self.progress)
        return {name: content[name] for name in _PROGRESS}

    def _get_properties(self) -> dict[str, str]:
        named = {
            "azureml.endpointname": self.record.endpoint_name,
            "azureml.deploymentname": self.record.deployment_name,
        }
        return {
            "azureml.batchrun": "true",
            **{key: value for key, value in named.items() if value is not None},
            "runSource": "BatchDeployment",
        }

    def __repr__(self) -> str:
        return f"Job({self.name!r}, status={self.status!r})"


def require_ended(job: Job, *, doing: str) -> None:
    """Raise InvalidTransitionError (JOB_NOT_ENDED) while the job goes on."""
    from sparkscore.errors import InvalidTransitionError

    if not job.is_ended:
        raise InvalidTransitionError(
            f"job {job.name} is {job.status}: {doing} needs its end; wait with: sparkscore job "
            f"stream -n {job.name}",
            condition="JOB_NOT_ENDED",
            job=job.name,
            status=job.status,
        )


def refuse_pruned(job: Job) -> None:
    """Raise StateError (JOB_PRUNED) if the job's folder was removed."""
    refuse_pruned_record(job.record)


def refuse_pruned_record(record: JobRecord) -> None:
    """As ``refuse_pruned``."""
    pruned_at = record.properties.get(PRUNED)
    if pruned_at is not None:
        raise StateError(
            f"the folder of job {record.name} was pruned at {pruned_at}: its account is in job "
            "show, its logs and files are gone",
            condition="JOB_PRUNED",
            job=record.name,
            pruned_at=pruned_at,
        )


PRUNED = "sparkscore.pruned_at"
"""Property of a job whose folder was removed: when."""


def _render_run(run: dict[str, Any]) -> dict[str, Any]:
    times = ("started_at", "ended_at", "resumed_at")
    return {**run, **{name: _render(run[name]) for name in times}}


def _render(seconds: float | None) -> str | None:
    return None if seconds is None else render_time(seconds)
