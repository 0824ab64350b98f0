"""Errors about names that are not there or already are. Control plane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sparkscore.errors import AlreadyExistsError, NotFoundError, StateError
from sparkscore.spec.nearest import find_closest

_NOT_FOUND = {
    "endpoint": "ENDPOINT_NOT_FOUND",
    "deployment": "DEPLOYMENT_NOT_FOUND",
    "job": "JOB_NOT_FOUND",
    "environment": "ENVIRONMENT_NOT_FOUND",
    "data": "DATA_NOT_FOUND",
    "code": "CODE_NOT_FOUND",
    "datastore": "DATASTORE_NOT_FOUND",
    "compute": "COMPUTE_NOT_FOUND",
    "token": "TOKEN_NOT_FOUND",
}
_EXISTS = {
    "endpoint": "ENDPOINT_EXISTS",
    "deployment": "DEPLOYMENT_EXISTS",
    "job": "JOB_EXISTS",
    "environment": "ENVIRONMENT_EXISTS",
    "data": "DATA_EXISTS",
    "code": "CODE_EXISTS",
    "token": "TOKEN_EXISTS",
}
_COMMANDS = {"endpoint": "batch-endpoint", "deployment": "batch-deployment"}
_WORDS = {"data": "data asset", "code": "code asset"}


def not_found(
    what: str, name: str, known: Iterable[str], *, where: str = "", **attributes: str | None
) -> NotFoundError:
    """The error for a ``what`` (endpoint, job, data...) that is not among the known names."""
    closest = find_closest(name, known)
    below = "".join(
        f" --endpoint-name {attributes[key]}" for key in attributes if key == "endpoint"
    )
    command = f"sparkscore {_COMMANDS.get(what, what)} list{below}"
    # Code has no command of its own.
    advice = "" if what == "code" else f"; see what there is with: {command}"
    hint = f"; did you mean {closest!r}?" if closest is not None else advice
    return NotFoundError(
        f"there is no {_WORDS.get(what, what)} {name!r}{where}{hint}",
        condition=_NOT_FOUND[what],
        name=name,
        closest=closest,
        **attributes,
    )


def version_not_found(kind: str, name: str, version: str, versions: Sequence[str]) -> NotFoundError:
    """The error for a version that a known asset does not have; ``versions`` newest first."""
    closest = find_closest(version, versions) or versions[0]
    return NotFoundError(
        f"{_WORDS.get(kind, kind)} {name!r} has no version {version!r}; did you mean {closest!r}?",
        condition=_NOT_FOUND[kind],
        name=name,
        version=version,
        closest=closest,
    )


def all_archived(kind: str, name: str) -> NotFoundError:
    """The error for the latest version of an asset that is archived as a whole."""
    return NotFoundError(
        f"every version of {_WORDS.get(kind, kind)} {name!r} is archived; name a version or "
        "restore one",
        condition=_NOT_FOUND[kind],
        name=name,
        closest=None,
    )


def already_exists(
    what: str, name: str, *, because: str = "", **attributes: str
) -> AlreadyExistsError:
    """The error for a name that is taken."""
    return AlreadyExistsError(
        f"{_WORDS.get(what, what)} {name!r} already exists{because}",
        condition=_EXISTS[what],
        name=name,
        **attributes,
    )


def stale_revision(what: str, name: str, *, revision: int, stored: int) -> StateError:
    """The error for a change that was made to an older state of the record."""
    return StateError(
        f"{what} {name!r} was changed meanwhile by another process; repeat the command",
        condition="STALE_REVISION",
        name=name,
        revision=revision,
        stored_revision=stored,
    )
