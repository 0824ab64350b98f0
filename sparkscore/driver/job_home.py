"""Where a job's folder is while its driver runs. Spark driver process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sparkscore.driver.held_lease import HeldLease
from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.lease import take_lease
from sparkscore.messages.launch import LaunchMessage
from sparkscore.messages.status import SummaryMessage


class JobHome(Protocol):
    """The place of one job's folder, shared by all drivers of the job."""

    @property
    def fetched(self) -> tuple[str, ...] | None:
        """Files of the job folder that came from a store, which keeps all that the next driver
        needs; None where that is the folder itself."""

    def take_lease(self, *, check: Callable[[], None], on_cancel: Callable[[], None]) -> HeldLease:
        """Take the job and bring its folder here.

        Raises StateError (LEASE_HELD, RESUME_MISMATCH), StorageError or OSError.
        """

    def find_ended(self) -> SummaryMessage | None:
        """The summary of a job that is left alone because it has ended; None to go on with it."""

    def is_left_to_next(self) -> bool:
        """Whether a driver that is stopped leaves the job to the next one, which its platform
        starts, because nobody has asked to cancel the job."""


class LocalHome:
    """The job folder that the launch message names, on a disk that each driver sees."""

    fetched: tuple[str, ...] | None = None

    def __init__(self, launch: LaunchMessage) -> None:
        self._launch, self._folder = launch, JobFolder(launch.job_folder)

    def take_lease(self, *, check: Callable[[], None], on_cancel: Callable[[], None]) -> HeldLease:
        """See ``JobHome``; asks for a cancellation come as signals."""
        del on_cancel
        self._folder.check_identity(self._launch)
        return take_lease(self._folder.lease, check=check)

    def find_ended(self) -> SummaryMessage | None:
        """A job that completed; one that failed or was canceled is started again to go on."""
        return self._folder.find_completed()

    def is_left_to_next(self) -> bool:
        """Who stops this driver cancels the job."""
        return False
