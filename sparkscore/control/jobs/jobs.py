"""The jobs of a workspace. Control plane."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparkscore.control.jobs.job import Job, OnStatus
from sparkscore.control.jobs.look import change_job, find_live_status, refresh_job
from sparkscore.control.jobs.processes import is_alive
from sparkscore.control.jobs.queue import count_ahead, is_parked
from sparkscore.control.jobs.start import start_adopting, start_forgotten, start_launcher
from sparkscore.control.jobs.stream import OnLine, stream_job
from sparkscore.control.listing_table import Table
from sparkscore.control.webhooks.telling import note_job, tell_ends
from sparkscore.errors import InvalidFieldError
from sparkscore.spec.nearest import find_closest
from sparkscore.state import Archived, JobFilter, JobRecord
from sparkscore.state.job_status import (
    ACTIVE,
    STATUSES,
    is_terminal,
    is_waiting,
)

if TYPE_CHECKING:
    from sparkscore.control.endpoints.request import InvokeRequest
    from sparkscore.control.jobs.errors import JobErrors
    from sparkscore.control.jobs.files import JobFile
    from sparkscore.control.jobs.prune import PrunedJob
    from sparkscore.control.workspace import Workspace

DEFAULT_MAX_RESULTS = 50
DEFAULT_PRUNE_DAYS = 30.0
_PAGE = 200
_DAY_SECONDS = 86_400.0


class Jobs:
    """What was invoked, and what came of it. Methods raise NotFoundError (JOB_NOT_FOUND)."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def get(self, name: str) -> Job:
        """The job as it is now, from its record, its folder and its processes."""
        record, place = self._read(name), self._workspace
        if place.parks_beyond is not None and is_parked(record):
            start_forgotten(
                place.store,
                record,
                workspace_folder=place.folder,
                parks_beyond=place.parks_beyond,
            )
            record = self._read(name)
        if record.remote is not None:
            record = start_adopting(place.store, record, workspace_folder=place.folder)
        return self._look(record)

    def list(
        self,
        *,
        endpoint_name: str | None = None,
        deployment_name: str | None = None,
        status: str | None = None,
        max_results: int | None = DEFAULT_MAX_RESULTS,
        all_results: bool = False,
        before: str | None = None,
        archived: Archived = "exclude",
        parent_job_name: str | None = None,
        experiment_name: str | None = None,
        compute_name: str | None = None,
    ) -> Table[Job]:
        """Jobs, the newest first, at most ``max_results`` (None or ``all_results``: all).

        ``before`` is the name of the last job of the page before. No job here has a parent: with
        ``parent_job_name`` the list is empty.
        """
        limit = None if all_results else max_results
        before_sequence = None if before is None else self._read(before).sequence
        found: Table[Job] = Table()
        if parent_job_name is not None or limit == 0:
            return found
        wanted = JobFilter(
            endpoint=endpoint_name,
            deployment=deployment_name,
            statuses=_possible_statuses(status),
            archived=archived,
            experiment=experiment_name,
            compute=compute_name,
        )
        size = _PAGE if limit is None or status is not None else min(limit, _PAGE)
        for record, retries in self._iter_records(wanted, before_sequence, page_size=size):
            job = self._look(record, retries)
            if status is None or job.status == status:
                found.append(job)
            if limit is not None and len(found) >= limit:
                break
        return found

    def count_by_status(self) -> dict[str, int]:
        """How many jobs have each status, archived ones too; asks no running job."""
        with self._workspace.store.reading() as reader:
            return reader.count_jobs_by_status(JobFilter(archived="include"))

    def start(self, name: str) -> Job:
        """Give the job a launcher if it has none, and return at once; see ``start_launcher``."""
        note_job(self._workspace, name)
        place, beyond = self._workspace, self._workspace.parks_beyond
        record = start_launcher(
            place.store, name, workspace_folder=place.folder, parks_beyond=beyond
        )
        return self._look(record)

    def get_local_folder(self, name: str) -> Path:
        """Where the folder of a job of this name is, or will be, on this machine."""
        from sparkscore.listing.location import find_local_path

        local = find_local_path(self._workspace.config.jobs_folder)
        return Path(local or self._workspace.folder / "jobs") / name

    def stream(
        self, name: str, *, on_status: OnStatus | None = None, on_line: OnLine | None = None
    ) -> Job:
        """Block until the job has ended, however it ended, and return it.

        ``on_status`` gets each new status with its progress, ``on_line`` lines for people: the
        place in the queue.
        """
        return stream_job(self, name, on_status=on_status, on_line=on_line)

    def count_ahead(self, name: str) -> int:
        """How many jobs must end or start before this one may; 0 if it need not wait."""
        with self._workspace.store.reading() as reader:
            record = reader.get_job(name)
            active = reader.list_active_jobs(ahead_of=record.sequence)
        if not is_waiting(record):
            return 0
        return count_ahead(
            record,
            active,
            max_running=self._workspace.config.max_running_jobs,
            now=time.time(),
            is_alive=is_alive,
        )

    def cancel(self, name: str) -> Job:
        """Ask for the job's cancellation and return at once.

        A job that has not started is Canceled then, another one CancelRequested; asking again
        changes nothing. Raises InvalidTransitionError (JOB_ENDED).
        """
        from sparkscore.control.jobs.cancel import cancel_record

        return self._look(cancel_record(self._workspace, self.get(name).record))

    def resume(
        self,
        name: str,
        *,
        overrides: Sequence[str] = (),
        conf: Sequence[str] = (),
        compute: str | None = None,
    ) -> Job:
        """Let a Failed, Canceled or killed job go on from what is staged, and return at once.

        Only mini-batches without an outcome are scored; the output is that of an undisturbed run.
        ``overrides`` are ``key=value`` texts of ``control.resume.RESUMABLE_KEYS``, ``conf``
        ``spark.x=y`` texts; ``compute`` is what ``InvokeRequest.compute`` is, None for the one it
        had. Raises InvalidTransitionError (JOB_COMPLETED, JOB_NOT_ENDED), StateError (JOB_PRUNED,
        LEASE_HELD, RESUME_MISMATCH: model or code have changed), NotFoundError
        (JOB_FOLDER_NOT_FOUND), SpecError or TargetError.
        """
        from sparkscore.control.jobs.resume import resume_record

        tell_ends(self._workspace)
        resume_record(self._workspace, name, overrides=overrides, conf=conf, compute=compute)
        return self.start(name)

    def retry_failed(self, name: str, request: InvokeRequest | None = None) -> Job:
        """Start a new job on exactly the inputs that failed in this one, and return at once.

        ``request`` says all else that ``invoke`` may be told; without a deployment in it, the one
        of this job runs as it is registered now. Failed inputs without a name, and inputs that
        were not processed, are left out: the new job's ``inputs`` count them, and the workspace's
        ``on_message`` is told. Raises what ``invoke`` does, InvalidTransitionError (JOB_NOT_ENDED),
        StateError (NO_FAILED_INPUTS, NO_ACCOUNT, JOB_PRUNED) or MessageError.
        """
        from sparkscore.control.endpoints.request import InvokeRequest
        from sparkscore.control.endpoints.retry import describe_retry

        record = self._read(name)
        asked = request or InvokeRequest()
        deployment_name = asked.deployment_name or record.deployment_name
        asked = dataclasses.replace(asked, retry_of=name, deployment_name=deployment_name)
        endpoints = self._workspace.batch_endpoints
        job = endpoints.invoke(str(record.endpoint_name), asked)
        for line in describe_retry(job):
            self._workspace.on_message(line)
        return job

    def archive(self, name: str) -> Job:
        """Hide the job from lists."""
        return self._change(name, is_archived=True)

    def restore(self, name: str) -> Job:
        """Show an archived job in lists again."""
        return self._change(name, is_archived=False)

    def update(
        self,
        name: str,
        *,
        overrides: Sequence[str] = (),
        additions: Sequence[Sequence[str] | str] = (),
        removals: Sequence[Sequence[str] | str] = (),
        force_string: bool = False,
    ) -> Job:
        """Change what is for people: display_name, description, tags, properties.

        ``overrides`` are ``--set key=value``, see ``load_document``. Raises SpecError.
        """
        from sparkscore.control.jobs.edit import edit_record

        record = change_job(
            self._workspace.store,
            name,
            lambda job: edit_record(
                job,
                overrides=overrides,
                additions=additions,
                removals=removals,
                force_string=force_string,
            ),
        )
        return self._look(record)

    def download(
        self,
        name: str,
        *,
        output_name: str = "score",
        download_path: str | Path = ".",
        all: bool = False,  # noqa: A002 - the flag of the command line
    ) -> Path:
        """Copy an output of an ended job below ``download_path``; returns that folder.

        It comes to ``named-outputs/<output>/``; with ``all`` logs and account come to
        ``artifacts/``. Raises InvalidTransitionError (JOB_NOT_ENDED), NotFoundError
        (OUTPUT_NOT_FOUND), StateError (OUTPUT_IS_TABLE), AlreadyExistsError (DOWNLOAD_EXISTS).
        """
        from sparkscore.control.jobs.download import download_job

        return download_job(
            self.get(name), output_name=output_name, folder=Path(download_path), with_artifacts=all
        )

    def errors(self, name: str) -> JobErrors:
        """Why inputs of the job failed, grouped, and what ended it; as far as known by now."""
        from sparkscore.control.jobs.errors import find_job_errors

        return find_job_errors(self.get(name))

    def iter_logs(
        self, name: str, *, follow: bool = False, mini_batch: int | None = None
    ) -> Iterator[str]:
        """The lines of the job's logs, a header before each file.

        With ``follow`` the iterator goes on until the job has ended. With ``mini_batch``, the id
        of one, it gives what the script said while it scored that one. Raises StateError
        (JOB_PRUNED), NotFoundError (MINI_BATCH_NOT_FOUND).
        """
        from sparkscore.control.jobs.logs import iter_log_lines

        return iter_log_lines(self, self.get(name), follow=follow, mini_batch=mini_batch)

    def poll_logs(
        self, name: str, *, follow: bool = False, mini_batch: int | None = None
    ) -> Generator[str | None, None, None]:
        """As ``iter_logs``, with None where there is nothing new yet.

        For callers that wait in their own way; a second or so between two looks is enough.
        """
        from sparkscore.control.jobs.logs import poll_log_lines

        return poll_log_lines(self, self.get(name), follow=follow, mini_batch=mini_batch)

    def list_files(self, name: str) -> Table[JobFile]:
        """The files that the job left, as a download would have them."""
        from sparkscore.control.jobs.files import list_files

        return list_files(self.get(name))

    def get_file(self, name: str, path: str) -> JobFile:
        """One of these files, to be read in pieces.

        Raises NotFoundError (FILE_NOT_FOUND), StateError (JOB_PRUNED, OUTPUT_IS_TABLE).
        """
        from sparkscore.control.jobs.files import find_file

        return find_file(self.get(name), path)

    def prune(
        self,
        *,
        older_than_days: float = DEFAULT_PRUNE_DAYS,
        status: str | None = None,
        dry_run: bool = False,
    ) -> Table[PrunedJob]:
        """Remove the folders of jobs that ended more than so many days ago, archived ones too.

        Records stay, with their accounts; so do results, wherever they are. ``status`` chooses
        Completed, Failed or Canceled ones only.
        """
        from sparkscore.control.jobs.prune import prune_jobs

        return prune_jobs(
            self._workspace,
            self.list(status=status, all_results=True, archived="include"),
            older_than_seconds=older_than_days * _DAY_SECONDS,
            dry_run=dry_run,
        )

    def _read(self, name: str) -> JobRecord:
        with self._workspace.store.reading() as reader:
            return reader.get_job(name)

    def _look(self, record: JobRecord, retried_by: tuple[str, ...] | None = None) -> Job:
        """The job as it is now; ``retried_by`` if that is known already."""
        if retried_by is None:
            with self._workspace.store.reading() as reader:
                retried_by = reader.find_retries([record.name]).get(record.name, ())
        current = refresh_job(self._workspace.store, record)
        if is_terminal(current.status) and current.revision != record.revision:
            tell_ends(self._workspace)
        progress = None if is_terminal(current.status) else find_live_status(current)
        return Job(current, self._workspace, progress, retried_by)

    def _iter_records(
        self, wanted: JobFilter, before_sequence: int | None, *, page_size: int
    ) -> Iterator[tuple[JobRecord, tuple[str, ...]]]:
        """Records, each with the names of the jobs that score what failed in it."""
        while True:
            with self._workspace.store.reading() as reader:
                page = reader.list_jobs(wanted, limit=page_size, before_sequence=before_sequence)
                retries = reader.find_retries([record.name for record in page])
            for record in page:
                yield record, retries.get(record.name, ())
            if len(page) < page_size:
                return
            before_sequence = page[-1].sequence

    def _change(self, name: str, **changes: object) -> Job:
        def change(record: JobRecord) -> JobRecord:
            if all(getattr(record, key) == value for key, value in changes.items()):
                return record
            return dataclasses.replace(record, updated_at=time.time(), **changes)  # type: ignore[arg-type]

        return self._look(change_job(self._workspace.store, name, change))


def _possible_statuses(status: str | None) -> tuple[str, ...] | None:
    """What a job may have in the store that reads ``status``: an active one may have moved on."""
    if status is None:
        return None
    if status not in STATUSES:
        raise _unknown_status(status)
    return tuple({status, *ACTIVE})


def _unknown_status(status: str) -> InvalidFieldError:
    nearest = find_closest(status, STATUSES)
    advice = f"did you mean {nearest}?" if nearest else f"there are {', '.join(STATUSES)}"
    return InvalidFieldError(
        f"no job is ever {status!r}: {advice}",
        condition="UNKNOWN_STATUS",
        value=status,
        nearest=nearest,
    )
