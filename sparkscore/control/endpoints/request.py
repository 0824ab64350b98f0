"""What a caller asks for when an endpoint is invoked. Control plane, pure."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sparkscore.errors import InvalidFieldError
from sparkscore.listing.location import find_local_path
from sparkscore.spec import DeploymentSpec, InvokeSpec, load_document
from sparkscore.spec.overrides import settle_overrides

InputSource = Literal["asset", "path", "local"]


@dataclass(frozen=True)
class InvokeRequest:
    """One invocation of an endpoint.

    ``input`` is an asset reference, datastore path, URI or local path; relative paths start from
    the current folder. ``input_only`` refuses all but one of these kinds. ``overrides`` are
    ``key=value`` texts, ``conf`` ``spark.x=y`` texts. ``job_name`` makes the invocation
    idempotent. ``file`` is a YAML file with ``inputs`` and ``outputs``. ``retry_of`` names a job
    whose failed inputs are to be scored, in place of ``input`` and what chooses from it.
    """

    deployment_name: str | None = None
    input: str | None = None
    input_type: str | None = None
    input_only: InputSource | None = None
    output_path: str | None = None
    overrides: tuple[str, ...] = ()
    mini_batch_size: int | None = None
    instance_count: int | None = None
    file: Path | None = None
    job_name: str | None = None
    experiment_name: str | None = None
    display_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    compute: str | None = None
    conf: tuple[str, ...] = ()
    retry_of: str | None = None

    def get_digest(self, endpoint_name: str) -> str:
        """Equal for requests that ask for the same; ``job_name`` is not part of it."""
        asked = {**asdict(self), "job_name": None, "file": str(self.file or "")}
        if self.retry_of is None:
            del asked["retry_of"]
        flags = {name: asked[name] for name in ("mini_batch_size", "instance_count")}
        asked |= dict.fromkeys(flags)
        asked["overrides"] = settle_overrides(DeploymentSpec, self.overrides, flags)
        conf = {text.partition("=")[0].strip(): text for text in self.conf}
        asked["conf"] = sorted(conf.values())
        text = json.dumps([endpoint_name.lower(), asked], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def settle_request(request: InvokeRequest) -> InvokeRequest:
    """The request with ``file`` and ``--set inputs.NAME...`` read into its other fields.

    Local paths become absolute, so that the same request is the same from any folder. Raises
    SpecError, also where a thing is said twice.
    """
    named = tuple(text for text in request.overrides if text.startswith(("inputs.", "outputs.")))
    others = tuple(text for text in request.overrides if text not in named)
    request = replace(request, overrides=others)
    if request.file is not None or named:
        request = _with_file(request, named)
    _check_retry(request)
    return replace(
        request,
        input=_settle_path(request.input),
        output_path=_settle_path(request.output_path),
        tags=dict(sorted(request.tags.items())),
    )


def _check_retry(request: InvokeRequest) -> None:
    """A job that retries has its input; raises InvalidFieldError (GIVEN_TWICE)."""
    others = ("input", "input_type", "include", "exclude", "limit")
    given = [name for name in others if getattr(request, name)]
    if request.retry_of is not None and given:
        raise InvalidFieldError(
            f"{given[0]}: the inputs are those that failed in job {request.retry_of}: remove it",
            condition="GIVEN_TWICE",
            key=given[0],
        )


def _with_file(request: InvokeRequest, named: tuple[str, ...]) -> InvokeRequest:
    loaded = load_document(InvokeSpec, request.file, overrides=named)
    changes: dict[str, Any] = {"file": None}
    for name, given in loaded.spec.inputs.items():
        _refuse_twice(request.input, what=f"inputs.{name}", flag="--input")
        changes |= {"input": loaded.resolve(given.path or ""), "input_type": given.type}
    for name, wanted in loaded.spec.outputs.items():
        _refuse_twice(request.output_path, what=f"outputs.{name}", flag="--output-path")
        if wanted.path is not None:
            path = loaded.resolve(wanted.path)
            changes |= _read_output(request, path, is_file=wanted.type == "uri_file")
    return replace(request, **changes)


def _read_output(request: InvokeRequest, path: str, *, is_file: bool) -> dict[str, Any]:
    """An output of type ``uri_file`` names the whole path of the file."""
    if not is_file:
        return {"output_path": path}
    folder, _, file_name = path.rpartition("/")
    return {
        "output_path": folder or ".",
        "overrides": (*request.overrides, f"output_file_name={file_name}"),
    }


def _refuse_twice(given: str | None, *, what: str, flag: str) -> None:
    if given is not None:
        raise InvalidFieldError(
            f"{what} gives again what {flag} gives: remove one", condition="GIVEN_TWICE", key=what
        )


def _settle_path(text: str | None) -> str | None:
    """Local paths absolute, prefixes and references as they are."""
    if text is None or text.startswith("azureml:") or not text.strip():
        return text
    prefix, colon, rest = text.partition(":")
    if colon and prefix in ("folder", "file") and not rest.startswith("//"):
        return f"{prefix}:{_settle_path(rest)}"
    return find_local_path(os.path.expanduser(text)) or text
