"""What must hold of a thing when it is changed. Control plane, pure."""

from __future__ import annotations

from dataclasses import dataclass

from sparkscore.errors import PreconditionFailedError
from sparkscore.state.records import DeploymentRecord, EndpointRecord


@dataclass(frozen=True)
class Precondition:
    """Checked in the transaction that makes the change, so that nobody comes in between.

    ``etags`` are those of which it must have one; empty: it must be there, whatever it is; None:
    it need not. ``is_absent``: it must not be there yet.
    """

    etags: frozenset[str] | None = None
    is_absent: bool = False

    def check(self, what: str, name: str, record: EndpointRecord | DeploymentRecord | None) -> None:
        """Raise PreconditionFailedError (ALREADY_THERE, NOT_THERE or CHANGED_MEANWHILE)."""
        self.check_etag(what, name, None if record is None else get_etag(record))

    def check_etag(self, what: str, name: str, etag: str | None) -> None:
        """The same for what has this ETag, None if it is not there."""
        if etag is not None and self.is_absent:
            raise _failed("ALREADY_THERE", name, f"{what} {name} exists, and was to be made new")
        if self.etags is None:
            return
        if etag is None:
            raise _failed("NOT_THERE", name, f"{what} {name} does not exist, and was to be changed")
        if self.etags and etag not in self.etags:
            raise _failed(
                "CHANGED_MEANWHILE",
                name,
                f"{what} {name} is not as it was read: read it again, then repeat the change",
            )


NO_PRECONDITION = Precondition()


def get_etag(record: EndpointRecord | DeploymentRecord) -> str:
    """Another text after each change, also of one that was deleted and made again."""
    return f"{record.revision}-{int(record.created_at * 1_000_000):x}"


def _failed(condition: str, name: str, message: str) -> PreconditionFailedError:
    return PreconditionFailedError(message, condition=condition, name=name)
