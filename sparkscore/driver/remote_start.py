"""Makes a job's folder on a machine that knows nothing of the job. Spark driver process.

A message that is ``staged`` lies in a folder that the control plane filled, in a store or on a
mounted one. Code and model are fetched from there to this machine's disk, and from the folder that
the message names as the job's what an earlier driver had done; that one keeps the copy of what this
driver does.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sparkscore.driver.background import Background
from sparkscore.driver.job_folder import JobFolder, read_launch
from sparkscore.driver.remote_folder import RemoteFolder
from sparkscore.driver.remote_lease import RemoteLease, take_remote_lease
from sparkscore.errors import CanceledError, SparkscoreError, StateError, StorageError
from sparkscore.messages.launch import LaunchMessage, MirrorMessage
from sparkscore.messages.status import COMPLETED, SummaryMessage
from sparkscore.plan.launch_overrides import DriverArguments, apply_arguments
from sparkscore.storage import describe_error, is_uri

RUN_SUPERSEDED = "RUN_SUPERSEDED"
CANCEL_LOOK_SECONDS = 4.0
"""How long a driver that is stopped waits for the store to say whether the job is canceled."""


class RemoteJob:
    """A job whose folder is on this machine while its driver runs, and kept in a store.

    ``launch`` names the folders on this machine, below ``place``. A ``JobHome``.
    """

    def __init__(self, launch: LaunchMessage, *, source: RemoteFolder, copy: RemoteFolder) -> None:
        self._source, self._copy = source, copy
        self.place = _make_place(launch.job_name)
        environment = launch.scoring.environment
        archive = None if environment is None else environment.archive
        self.fetched = tuple(filter(None, (launch.input.list_file, archive)))
        scoring = replace(
            launch.scoring,
            model_folder=str(self.place / "model"),
            code_folder=launch.scoring.code_folder and str(self.place / "code"),
        )
        self.launch = replace(
            launch,
            job_folder=str(self.place / "job"),
            scoring=scoring,
            mirror=MirrorMessage(uri=copy.uri, options=copy.options),
        )

    def take_lease(
        self, *, check: Callable[[], None], on_cancel: Callable[[], None]
    ) -> RemoteLease:
        """Take the job and fetch what it needs; a job that is canceled needs no model.

        Raises what ``take_remote_lease`` does, StorageError or StateError (RESUME_MISMATCH).
        """
        lease = self._take(check=check, on_cancel=on_cancel)
        try:
            folder = JobFolder(self.launch.job_folder)
            folder.path.mkdir(parents=True)
            self._copy.restore(folder.path)
            folder.check_identity(self.launch)
            if self.find_ended() is None and not _is_canceled(check):
                self._source.fetch_content(self.place)
                self._source.fetch_files(self.fetched, folder.path)
        except BaseException:
            lease.release()
            raise
        return lease

    def _take(self, *, check: Callable[[], None], on_cancel: Callable[[], None]) -> RemoteLease:
        try:
            return take_remote_lease(
                self._copy, run=self.launch.run, check=check, on_cancel=on_cancel
            )
        except SparkscoreError:
            raise
        except Exception as error:
            raise StorageError(
                f"the job's folder {self._copy.uri} cannot be used: {describe_error(error)}; check "
                "the URI, and the credentials in the driver's environment",
                condition="STAGING_NOT_WRITABLE",
                uri=self._copy.uri,
            ) from error

    def find_ended(self) -> SummaryMessage | None:
        """How the job ended before: a platform also starts again what has failed in order.

        That an earlier run failed or was canceled may be written late, and says nothing any more.
        """
        ended = JobFolder(self.launch.job_folder).find_ended()
        is_earlier = ended is not None and ended.run < self.launch.run
        return None if ended is None or (is_earlier and ended.status != COMPLETED) else ended

    def is_left_to_next(self) -> bool:
        """Looks anew: the folder says who stops this driver, and for which run."""

        def look() -> bool:
            return not self._copy.is_cancel_asked(self.launch.run)

        deadline = time.monotonic() + CANCEL_LOOK_SECONDS

        def check() -> None:
            if time.monotonic() > deadline:
                raise TimeoutError

        try:
            return Background(look, name="store").get(check)
        except Exception:
            return True

    def remove(self) -> None:
        """Remove what was fetched and made on this machine."""
        shutil.rmtree(self.place, ignore_errors=True)


def load_launch(given: DriverArguments) -> tuple[LaunchMessage, RemoteJob | None]:
    """The launch message with what the command line lays over it, and the job if it is staged.

    Raises MessageError, StorageError, PlanError or SpecError, and StateError (RUN_SUPERSEDED) in a
    driver that was submitted for an earlier run than the message is for.
    """
    if not is_uri(given.launch):
        launch = read_launch(Path(given.launch))
        if not launch.staged:
            return apply_arguments(_find_files(launch, _folder_of(given.launch)), given), None
    source = RemoteFolder(_folder_of(given.launch), given.options)
    launch = apply_arguments(_stage(source.read_launch(), source), given)
    _check_run(launch, given)
    launch = replace(launch, run=max(launch.run, given.run_number or 0))
    job = RemoteJob(launch, source=source, copy=RemoteFolder(launch.job_folder, given.options))
    return job.launch, job


def _is_canceled(check: Callable[[], None]) -> bool:
    try:
        check()
    except CanceledError:
        return True
    return False


def _check_run(launch: LaunchMessage, given: DriverArguments) -> None:
    if given.run_number is not None and given.run_number < launch.run:
        raise StateError(
            f"this driver was submitted for run {given.run_number} of job {launch.job_name}, which "
            f"was resumed since as run {launch.run}: it leaves the job alone",
            condition=RUN_SUPERSEDED,
            run=given.run_number,
            newest_run=launch.run,
        )


def _find_files(launch: LaunchMessage, folder: str) -> LaunchMessage:
    """Model and code of a compiled job lie beside its message, wherever that was moved."""
    scoring, environment = launch.scoring, launch.scoring.environment
    if environment is not None and environment.archive is not None:
        archive = os.path.join(folder, environment.archive)
        environment = replace(environment, archive=archive)
    placed = replace(
        scoring,
        environment=environment,
        model_folder=os.path.join(folder, scoring.model_folder),
        code_folder=scoring.code_folder and os.path.join(folder, scoring.code_folder),
    )
    return replace(launch, scoring=placed)


def _stage(launch: LaunchMessage, source: RemoteFolder) -> LaunchMessage:
    """A compiled folder that was copied to a store is one that the control plane filled."""
    if launch.staged:
        return launch
    return replace(launch, job_folder=source.uri, staged=True, relay=True)


def _folder_of(launch: str) -> str:
    return launch.rpartition("/")[0] if is_uri(launch) else os.path.dirname(os.path.abspath(launch))


def _make_place(name: str) -> Path:
    """A new folder on the disk that Spark uses, else below the temporary folder."""
    for parent in (*os.environ.get("SPARK_LOCAL_DIRS", "").split(","), tempfile.gettempdir()):
        if parent and os.access(parent, os.W_OK | os.X_OK):
            return Path(tempfile.mkdtemp(prefix=f"sparkscore-{name[:32]}-", dir=parent))
    return Path(tempfile.mkdtemp(prefix=f"sparkscore-{name[:32]}-"))
