"""Every use case of control can be reached over HTTP, or there is a reason why it is not."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import Any

import pytest

from sparkscore import control
from sparkscore.control import Job
from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig

E, D = "/api/v1/endpoints", "/api/v1/endpoints/{endpoint}/deployments"
J = "/api/v1/jobs/{job}"
INSIDE = "how the others do their work: no command has it either"
HERE = "on files of the caller's machine, without a workspace: nothing a server has a part in"

VERSIONED = {
    "list": "GET /api/v1/{kind}",
    "create": "POST /api/v1/{kind}",
    "get": "GET /api/v1/{kind}/{{name}}",
    "archive": "POST /api/v1/{kind}/{{name}}/archive",
    "restore": "POST /api/v1/{kind}/{{name}}/restore",
    "delete": "DELETE /api/v1/{kind}/{{name}}",
}

REACHED: dict[str, dict[str, str]] = {
    "batch_endpoints": {
        "list": f"GET {E}",
        "create": f"POST {E}",
        "get": f"GET {E}/{{endpoint}}",
        "update": f"PATCH {E}/{{endpoint}}",
        "delete": f"DELETE {E}/{{endpoint}}",
        "invoke": f"POST {E}/{{endpoint}}/invoke",
        "plan": f"POST {E}/{{endpoint}}/plan",
        "list_jobs": f"GET {E}/{{endpoint}}/jobs",
    },
    "batch_deployments": {
        "list": f"GET {D}",
        "create": f"POST {D}",
        "get": f"GET {D}/{{deployment}}",
        "update": f"PATCH {D}/{{deployment}}",
        "delete": f"DELETE {D}/{{deployment}}",
        "list_jobs": f"GET {D}/{{deployment}}/jobs",
        "validate": f"POST {D}:validate",
        "compile": f"POST {D}/{{deployment}}/compile",
    },
    "jobs": {
        "list": "GET /api/v1/jobs",
        "errors": f"GET {J}/errors",
        "resume": f"POST {J}/resume",
        "retry_failed": f"POST {J}/retry-failed",
        "get": f"GET {J}",
        "update": f"PATCH {J}",
        "start": f"POST {J}/start",
        "cancel": f"POST {J}/cancel",
        "archive": f"POST {J}/archive",
        "restore": f"POST {J}/restore",
        "count_ahead": f"GET {J}/queue",
        "count_by_status": "GET /metrics",
        "iter_logs": f"GET {J}/logs",
        "poll_logs": f"GET {J}/logs",
        "stream": f"GET {J}/events",
        "download": f"GET {J}/download",
        "list_files": f"GET {J}/files",
        "get_file": f"GET {J}/files/{{path}}",
        "prune": "POST /api/v1/jobs:prune",
    },
    **{
        kind: {name: path.format(kind=kind) for name, path in VERSIONED.items()}
        for kind in ("models", "environments", "data", "computes", "datastores")
    },
    "code": {name: VERSIONED[name].format(kind="code") for name in ("list", "create", "get")},
    "tokens": {
        "create": "POST /api/v1/tokens",
        "list": "GET /api/v1/tokens",
        "revoke": "DELETE /api/v1/tokens/{name}",
    },
}
REACHED["datastores"] |= {
    "get_default": "GET /workspaces/ws/datastores",
    "upload": "POST /api/v1/uploads",
}

NOT_REACHED = {
    "jobs": {"get_local_folder": "a place on the server's machine"},
    "models": dict.fromkeys(
        ("find_version", "get_local_path", "get_registered_path", "pin", "register_inline"), INSIDE
    ),
    "environments": {"check_inline": INSIDE, "register_inline": INSIDE},
    "data": {"register_generated": INSIDE},
    "code": {"register": INSIDE},
    "tokens": {
        **dict.fromkeys(("find", "holds", "use_login"), "how a token is checked"),
        "create_login": "for whoever can write to the store; a caller has a token already",
    },
}

JOB = {
    "refresh": f"GET {J}",
    "wait": f"GET {J}/events",
    "results": f"GET {J}/files/{{path}}",
    "to_dict": f"GET {J}",
    "mini_batches": f"GET {J}/mini-batches",
}

FUNCTIONS = dict.fromkeys(
    (
        *("compile_deployment", "find_completed_job", "generate_script", "make_job", "plan_run"),
        *("prepare_run", "resume_job", "run_job"),
    ),
    HERE,
)


@pytest.fixture
def routes(workspace: Workspace) -> set[str]:
    """``GET /api/v1/jobs`` and so on."""
    paths = create_app(workspace, ServerConfig(no_auth=True)).openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def list_public(kind: Any) -> set[str]:
    members = inspect.getmembers(kind, callable)
    return {name for name, _ in members if not name.startswith("_")}


def list_parts() -> list[str]:
    """The managers of a workspace: what its cached properties give, but the store."""
    return [
        name
        for name, value in vars(Workspace).items()
        if isinstance(value, cached_property) and name != "store"
    ]


@pytest.mark.parametrize("part", list_parts())
def test_managers__every_method_has_a_route_or_a_reason(
    workspace: Workspace, routes: set[str], part: str
) -> None:
    reasons = dict(NOT_REACHED.get(part, {}))
    methods = list_public(type(getattr(workspace, part)))
    if "resolve" in methods:
        reasons["resolve"] = INSIDE
    assert set(REACHED[part]) | set(reasons) == methods
    assert set(REACHED[part].values()) <= routes


def test_jobs__every_method_has_a_route(routes: set[str]) -> None:
    assert set(JOB) == list_public(Job)
    assert set(JOB.values()) <= routes


def test_functions__all_have_a_reason() -> None:
    functions = {name for name in control.__all__ if inspect.isfunction(getattr(control, name))}
    assert functions == set(FUNCTIONS)


def test_openapi__is_a_valid_document_and_tells_every_parameter(workspace: Workspace) -> None:
    from openapi_spec_validator import validate

    document = create_app(workspace, ServerConfig(no_auth=True)).openapi()
    assert document["openapi"].startswith("3.1")
    validate(document)
    for path, methods in document["paths"].items():
        named = {name.strip("{}") for name in path.split("/") if name.startswith("{")}
        for method, operation in methods.items():
            known = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
            assert set(known) == named, f"{method} {path}"


def test_openapi__every_operation_has_its_own_id(workspace: Workspace) -> None:
    document = create_app(workspace, ServerConfig(no_auth=True)).openapi()
    ids = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(ids) == len(set(ids))
