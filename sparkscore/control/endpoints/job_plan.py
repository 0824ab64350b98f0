"""What an invocation would run, with everything checked and nothing made. Control plane."""

from __future__ import annotations

import os
import re
import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.compile import CompiledJob, compile_prepared
from sparkscore.control.deployment import PreparedDeployment, prepare_loaded
from sparkscore.control.endpoints.registration import LOCAL_COMPUTE, WorkspaceReferences
from sparkscore.control.endpoints.remote_plan import (
    check_remote,
    describe_remote,
    find_own_input,
)
from sparkscore.control.endpoints.request import InvokeRequest
from sparkscore.control.environments.job import (
    choose_mode,
    is_local_master,
    settle_environment,
)
from sparkscore.control.jobs.mirror import get_mirror
from sparkscore.control.jobs.processes import get_own_identity
from sparkscore.control.launch import JobPlace, build_output
from sparkscore.control.needs import check_needs
from sparkscore.control.one_shot import check_place
from sparkscore.errors import InvalidFieldError, NotFoundError, PlanError
from sparkscore.messages.launch import InputMessage
from sparkscore.spec import LoadedDeployment, load_deployment, parse_output
from sparkscore.state.job_status import NOT_STARTED
from sparkscore.state.records import DeploymentRecord, EndpointRecord, JobRecord
from sparkscore.targets.base import DriverTarget
from sparkscore.targets.registry import get_compute, get_target

if TYPE_CHECKING:
    from sparkscore.control.assets.computes import ComputeTarget
    from sparkscore.control.assets.data import ResolvedInput
    from sparkscore.control.endpoints.retry import RetriedInputs
    from sparkscore.control.workspace import Workspace

JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
OUTPUT_NAME = "score"
INPUT_NAME = "input"

_FIXED = ("name", "endpoint_name", "type", "model", "code_configuration", "environment")


@dataclass(frozen=True)
class PlannedJob:
    """A job that may be made; ``retried`` is what it scores if it retries an earlier one."""

    record: JobRecord
    deployment: PreparedDeployment
    place: JobPlace
    target: DriverTarget
    retried: RetriedInputs | None = None


@dataclass(frozen=True)
class _Source:
    """The input as the driver gets it, and as the record describes it."""

    message: InputMessage
    described: dict[str, Any]
    retried: RetriedInputs | None = None


def plan_job(
    workspace: Workspace, endpoint_name: str, request: InvokeRequest, *, digest: str
) -> PlannedJob:
    """The job of a settled request; registers a local input as data and makes nothing else.

    Raises what ``invoke`` does.
    """
    job_name = _get_job_name(request.job_name)
    endpoint, loaded = _load(workspace, endpoint_name, request)
    compute = _get_compute(workspace, loaded, request)
    prepared = settle_environment(
        _prepare(workspace, loaded, request, compute=compute),
        mode=_choose_mode(workspace, compute),
        is_local=is_local_master(compute.master) and not compute.is_remote,
    )
    remote = describe_remote(workspace, compute, job_name=job_name)
    target = get_compute(compute.master).target
    if remote is None:
        target.get_environment(os.environ, master=compute.master)
    source = _find_source(workspace, request, compute=compute)
    place = _plan_place(
        workspace, prepared, request=request, source=source, job_name=job_name, compute=compute
    )
    if remote is None:
        check_needs(target, prepared, place)
        check_place(place)
    else:
        place = replace(place, staging=remote["folder"], mirror=None)
        check_remote(compute, prepared, place, options=remote["options"])
    record = _make_record(
        endpoint,
        loaded,
        request=request,
        place=place,
        source=source,
        compute=compute,
        digest=digest,
        remote=remote,
    )
    if source.retried is not None:
        source.retried.check_output(place.output)
    return PlannedJob(record, prepared, place, target, source.retried)


def compile_job(
    workspace: Workspace,
    endpoint_name: str,
    request: InvokeRequest,
    *,
    target: str,
    folder: Path,
    compute_file: Path | None = None,
) -> CompiledJob:
    """A job of a registered deployment, written for ``target`` into a new folder.

    ``compute_file`` is the YAML file of a compute, in place of a registered one.
    """
    from sparkscore.control.assets.computes import ComputeTarget
    from sparkscore.control.compile_compute import (
        NO_COMPUTE,
        describe_compute,
        fit_compute,
        read_compute,
    )

    _, loaded = _load(workspace, endpoint_name, request)
    compute = read_compute(compute_file) or _get_compute(workspace, loaded, request)
    compute.check_instance_count(loaded.spec.given_instance_count)
    is_chosen = compute_file is not None or request.compute is not None
    described = describe_compute(workspace, compute)
    fitting = fit_compute(get_target(target), described, is_chosen=is_chosen)
    if fitting is NO_COMPUTE:  # the deployment's own, which this target is not for
        compute = ComputeTarget(LOCAL_COMPUTE)
    source = _resolve_input(workspace, request, compute=compute)
    output_path: str | None = None
    options: dict[str, str] = {}
    if request.output_path is not None:
        output_path, options = _resolve_output(workspace, request.output_path)
    return compile_prepared(
        _prepare(workspace, loaded, request, compute=compute),
        target_name=target,
        folder=folder,
        input_=_describe_input(source, request),
        output_path=output_path,
        output_options=options,
        compute=fitting,
        is_chosen=is_chosen,
        environments=_choose_mode(workspace, compute),
    )


def _get_job_name(given: str | None) -> str:
    if given is None:
        return f"batchjob-{uuid.uuid4()}"
    if not JOB_NAME.fullmatch(given):
        raise InvalidFieldError(
            f"--job-name {given!r}: a job's name has up to 128 letters, digits, '-', '_' and '.', "
            "and begins with a letter or digit",
            condition="INVALID_JOB_NAME",
            value=given,
        )
    return given


def _get_deployment(
    workspace: Workspace, endpoint_name: str, deployment_name: str | None
) -> tuple[EndpointRecord, DeploymentRecord]:
    with workspace.store.reading() as reader:
        endpoint = reader.get_endpoint(endpoint_name)
        chosen = deployment_name or endpoint.default_deployment
        if chosen is None:
            known = [record.name for record in reader.list_deployments(endpoint.name)]
            raise _no_default(endpoint.name, known)
        return endpoint, reader.get_deployment(endpoint.name, chosen)


def _no_default(endpoint_name: str, known: list[str]) -> NotFoundError:
    advice = (
        f"choose one of {', '.join(known)} with --deployment-name, or make it the default with: "
        f"sparkscore batch-endpoint update -n {endpoint_name} --defaults deployment_name=NAME"
        if known
        else f"create one: sparkscore batch-deployment create -e {endpoint_name} -f FILE "
        "--set-default"
    )
    return NotFoundError(
        f"No valid deployments to route to: endpoint {endpoint_name} has no default deployment; "
        f"{advice}",
        condition="NO_DEFAULT_DEPLOYMENT",
        endpoint=endpoint_name,
        deployments=known,
    )


def _load(
    workspace: Workspace, endpoint_name: str, request: InvokeRequest
) -> tuple[EndpointRecord, LoadedDeployment]:
    """The deployment with the request's settings over it; what it consists of stays as it is."""
    endpoint, chosen = _get_deployment(workspace, endpoint_name, request.deployment_name)
    source_name = f"deployment {chosen.name}"
    flags = {
        "mini_batch_size": request.mini_batch_size,
        "instance_count": request.instance_count,
    }
    plain = load_deployment(chosen.document, source_name=source_name)
    loaded = load_deployment(
        chosen.document, overrides=request.overrides, flags=flags, source_name=source_name
    )
    for key in _FIXED:
        if getattr(plain.spec, key) != getattr(loaded.spec, key):
            raise InvalidFieldError(
                f"--set {key}: a job runs its deployment's own {key}; settings can be set for one "
                "job, for another model or script create another deployment",
                condition="NOT_AN_OVERRIDE",
                key=key,
            )
    return endpoint, loaded


def _get_compute(
    workspace: Workspace, loaded: LoadedDeployment, request: InvokeRequest
) -> ComputeTarget:
    return workspace.computes.resolve(
        request.compute or loaded.spec.compute or LOCAL_COMPUTE,
        instance_count=loaded.spec.given_instance_count,
    )


def _prepare(
    workspace: Workspace,
    loaded: LoadedDeployment,
    request: InvokeRequest,
    *,
    compute: ComputeTarget,
) -> PreparedDeployment:
    references = WorkspaceReferences(workspace)
    prepared = prepare_loaded(loaded, conf=request.conf, references=references)
    return replace(prepared, spark_conf={**compute.spark_conf, **prepared.spark_conf})


def _choose_mode(workspace: Workspace, compute: ComputeTarget) -> str:
    return choose_mode(compute.environments, workspace.config.environments)


def _find_source(
    workspace: Workspace, request: InvokeRequest, *, compute: ComputeTarget
) -> _Source:
    if request.retry_of is not None:
        from sparkscore.control.endpoints.retry import find_retried

        retried = find_retried(workspace, request.retry_of)
        if find_own_input(workspace, compute, retried.root, input_type=None) is None:
            compute.check_sees(retried.root, job=retried.name)
        return _Source(retried.to_message(), retried.to_record(), retried)
    source = _resolve_input(workspace, request, compute=compute)
    described = {"type": source.type, "path": source.asset, "uri": source.uri}
    return _Source(_describe_input(source, request), described)


def _resolve_input(
    workspace: Workspace, request: InvokeRequest, *, compute: ComputeTarget
) -> ResolvedInput:
    from sparkscore.control.assets.data import resolve_input

    if request.input is None:
        raise PlanError(
            "no input was given: name a data asset, URI or path with --input", condition="NO_INPUT"
        )
    own = find_own_input(workspace, compute, request.input, input_type=request.input_type)
    return own or resolve_input(
        workspace,
        request.input,
        input_type=request.input_type,
        only=request.input_only,
        sees_local_paths=compute.shared_paths,
        base=Path.cwd(),
        on_progress=workspace.on_upload,
    )


def _plan_place(
    workspace: Workspace,
    deployment: PreparedDeployment,
    *,
    request: InvokeRequest,
    source: _Source,
    job_name: str,
    compute: ComputeTarget,
) -> JobPlace:
    folder = workspace.jobs.get_local_folder(job_name)
    output_path = request.output_path
    if output_path is None:
        output_path = (
            f"azureml://datastores/{workspace.datastores.get_default().name}/paths/{job_name}"
        )
    output_uri, output_options = _resolve_output(workspace, output_path)
    return JobPlace(
        job_name=job_name,
        job_folder=folder,
        files=folder,
        input=source.message,
        output=build_output(deployment, path=output_uri, options=output_options),
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        master=compute.master,
        mirror=get_mirror(workspace, job_name),
        relay=not compute.shared_paths,
    )


def _describe_input(source: ResolvedInput, request: InvokeRequest) -> InputMessage:
    return InputMessage(
        uri=source.uri,
        limit=request.limit,
        options=dict(source.options),
        include=request.include,
        exclude=request.exclude,
    )


def _resolve_output(workspace: Workspace, text: str) -> tuple[str, dict[str, str]]:
    """The output folder and the options of its store."""
    from sparkscore.control.assets.resolve import resolve_uri

    parse_output(text)
    found = resolve_uri(workspace, text, base=Path.cwd())
    return found.uri, dict(found.options)


def _make_record(
    endpoint: EndpointRecord,
    loaded: LoadedDeployment,
    *,
    request: InvokeRequest,
    place: JobPlace,
    source: _Source,
    compute: ComputeTarget,
    digest: str,
    remote: dict[str, Any] | None,
) -> JobRecord:
    now = time.time()
    return JobRecord(
        name=place.job_name,
        status=NOT_STARTED,
        endpoint_name=endpoint.name,
        deployment_name=loaded.spec.name,
        deployment=loaded.spec.to_document(),
        compute={"name": compute.name, "master": compute.master},
        inputs={INPUT_NAME: source.described},
        outputs={OUTPUT_NAME: _describe_output(place)},
        folder=str(place.job_folder),
        request_digest=digest,
        created_at=now,
        updated_at=now,
        display_name=request.display_name or place.job_name,
        experiment_name=request.experiment_name or endpoint.name,
        description=request.description,
        tags=dict(request.tags),
        creator=get_own_identity(),
        retry_of=request.retry_of,
        remote=remote,
    )


def _describe_output(place: JobPlace) -> dict[str, Any]:
    output = place.output
    if output.table is not None:
        return {"type": "table", "path": output.table}
    if not output.file_name:
        return {"type": "uri_folder", "path": output.path, "options": output.options}
    path = f"{output.path.rstrip('/')}/{output.file_name}"
    return {"type": "uri_file", "path": path, "options": output.options}
