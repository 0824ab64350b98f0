"""Which settings of one job need more than the right to start jobs. Control plane, pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sparkscore.control import InvokeRequest
from sparkscore.control.access.roles import Role
from sparkscore.errors import RequestError

HARMLESS = frozenset(
    {
        *("mini_batch_size", "error_threshold", "mini_batch_error_threshold", "retry_settings"),
        *("max_concurrency_per_instance", "logging_level", "output_file_name", "output_action"),
        *("output_format", "output_header", "output_separator", "isolate_failures"),
    }
)
"""What anybody who may start jobs can set for one job. The rest decides which code runs and where,
and how it is kept from harm."""

_SHORT = frozenset({"max_retries", "timeout", "instance_count", "resources.instance_count"})
_ROOTS = frozenset({"inputs", "outputs", "tags"})


def check_rights(request: InvokeRequest, role: Role) -> None:
    """Raise RequestError (FORBIDDEN) for what this role may not ask of a job."""
    if role.covers(Role.CONTRIBUTOR):
        return
    refused = next(_iter_refused(request), None)
    if refused is not None:
        raise RequestError(
            f"{refused} decides where or how code runs: setting it takes the role "
            f"{Role.CONTRIBUTOR.value}",
            condition="FORBIDDEN",
            key=refused,
            needed_role=Role.CONTRIBUTOR.value,
        )


def _iter_refused(request: InvokeRequest) -> Iterator[str]:
    if request.compute is not None:
        yield "compute"
    if request.conf:
        yield "conf"
    yield from iter_harmful(request.overrides)


def iter_harmful(overrides: Iterable[str]) -> Iterator[str]:
    """Keys of ``key=value`` texts that are not harmless."""
    for text in overrides:
        key = text.partition("=")[0].strip().removeprefix("settings.")
        first = key.partition(".")[0]
        if key not in _SHORT and first not in HARMLESS | _ROOTS:
            yield key
