"""The HTTP API of a Kubernetes cluster, with the official client. Control plane.

Every request has a time limit and is repeated where that is safe, so nothing hangs for minutes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sparkscore.errors import MissingDependencyError, SubmitError
from sparkscore.targets.connections import find_connect_failure

PLURAL = "sparkapplications"
ROLE_PAGE = "docs/kubernetes.md has the role that it needs"

_TIMEOUT_SECONDS = (5.0, 10.0)
_PAUSES_SECONDS = (0.5, 1.5)
_MAX_WAIT_SECONDS = 5.0
_BUSY = (429, 500, 502, 503, 504)
_MAX_EXPLAINED_PODS = 3
_LOG_LINES, _LOG_BYTES = 50, 256_000

_Answer = TypeVar("_Answer")


class Refused(Exception):  # noqa: N818 - an answer that callers look at, not an error of ours
    """An answer with a status that only the caller can judge."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class _NoApiError(Exception):
    """What answers is no Kubernetes API."""


@dataclass(frozen=True)
class Place:
    """Where resources of one operator are: API group and version, and a namespace."""

    group: str
    version: str
    namespace: str


class Cluster:
    """One cluster, as a context of the kubeconfig or the pod that this runs in knows it.

    Methods raise SubmitError: PLATFORM_UNREACHABLE, PLATFORM_DENIED, PLATFORM_NOT_CONFIGURED;
    MissingDependencyError without the client; Refused for any other answer that is no success.
    """

    def __init__(self, context: str | None) -> None:
        self._context = context
        self._client: Any = None
        self._is_proven = False

    def create(self, place: Place, body: dict[str, Any]) -> None:
        self._ask(
            lambda client: _check_resource(
                client.CustomObjectsApi(self._connect()).create_namespaced_custom_object(
                    *(place.group, place.version, place.namespace, PLURAL, body),
                    _request_timeout=_TIMEOUT_SECONDS,
                )
            )
        )

    def get(self, place: Place, name: str) -> dict[str, Any]:
        return self._ask(
            lambda client: _check_resource(
                client.CustomObjectsApi(self._connect()).get_namespaced_custom_object(
                    *(place.group, place.version, place.namespace, PLURAL, name),
                    _request_timeout=_TIMEOUT_SECONDS,
                )
            )
        )

    def delete(self, place: Place, name: str) -> None:
        self._ask(
            lambda client: client.CustomObjectsApi(self._connect()).delete_namespaced_custom_object(
                *(place.group, place.version, place.namespace, PLURAL, name),
                propagation_policy="Background",
                _request_timeout=_TIMEOUT_SECONDS,
            )
        )

    def list_pods(self, namespace: str, *, labels: str, fields: str = "") -> list[dict[str, Any]]:
        """The first pods with these labels, as the API shows them."""
        content = self._ask(
            lambda client: _read(
                client.CoreV1Api(self._connect()).list_namespaced_pod(
                    namespace,
                    label_selector=labels,
                    field_selector=fields,
                    limit=_MAX_EXPLAINED_PODS,
                    _preload_content=False,
                    _request_timeout=_TIMEOUT_SECONDS,
                )
            )
        )
        try:
            return list(json.loads(content)["items"] or ())
        except (KeyError, TypeError, ValueError):
            return []

    def read_log(self, namespace: str, pod: str, *, container: str) -> str:
        """The last lines that a container wrote."""
        content = self._ask(
            lambda client: _read(
                client.CoreV1Api(self._connect()).read_namespaced_pod_log(
                    pod,
                    namespace,
                    container=container,
                    tail_lines=_LOG_LINES,
                    limit_bytes=_LOG_BYTES,
                    _preload_content=False,
                    _request_timeout=_TIMEOUT_SECONDS,
                )
            )
        )
        return content.decode("utf-8", "replace")

    def _ask(self, request: Callable[[Any], _Answer]) -> _Answer:
        """One request; a busy or silent server is asked again, credentials are read anew once."""
        client, api_exception, http_error = _import_client()
        problem, wait_seconds, was_sent = "", 0.0, False
        for pause in (0.0, *_PAUSES_SECONDS):
            time.sleep(max(pause, wait_seconds))
            try:
                answer = request(client)
                self._is_proven = True
                return answer
            except api_exception as error:
                was_sent = True
                problem, wait_seconds = self._judge(error)
            except (http_error, _NoApiError) as error:
                was_sent = was_sent or find_connect_failure(error) is None
                problem, wait_seconds = _in_one_line(error) or type(error).__name__, 0.0
        raise SubmitError(
            f"the Kubernetes cluster{self._where()} does not answer ({problem}): check that it "
            "runs and can be reached from here",
            condition="PLATFORM_UNREACHABLE",
            context=self._context,
            was_sent=was_sent,
        )

    def _judge(self, error: Any) -> tuple[str, float]:
        """What a busy server says, and how long it wants us to wait; raises for other answers."""
        status, message = int(error.status or 0), _read_message(error)
        if status == 401 and self._is_proven:  # the kubeconfig may have a newer token by now
            self._client, self._is_proven = None, False
            return message, 0.0
        if status in (401, 403):
            self._client = None
            raise SubmitError(
                f"the Kubernetes cluster{self._where()} refuses: {message}; check the account of "
                f"the kubeconfig, {ROLE_PAGE}",
                condition="PLATFORM_DENIED",
                context=self._context,
            ) from error
        if status not in _BUSY:
            raise Refused(status, message) from error
        asked = str((error.headers or {}).get("Retry-After", ""))
        seconds = float(asked) if asked.isdigit() else 0.0
        return f"{status}: {message}", min(seconds, _MAX_WAIT_SECONDS)

    def _connect(self) -> Any:
        if self._client is None:
            self._client = _make_client(self._context)
        return self._client

    def _where(self) -> str:
        return f" of context {self._context}" if self._context else ""


def _check_resource(answer: Any) -> dict[str, Any]:
    """The answer if it is a resource: a proxy's login page is a success too."""
    if isinstance(answer, dict) and answer.get("kind") == "SparkApplication":
        return answer
    raise _NoApiError("what answers there is no Kubernetes API")


def _read(response: Any) -> bytes:
    content: bytes = response.data
    return content


def _import_client() -> tuple[Any, Any, Any]:
    try:
        from kubernetes import client
        from urllib3.exceptions import HTTPError
    except ImportError as error:
        raise MissingDependencyError(
            "a kubernetes compute needs the Kubernetes client: pip install "
            "'sparkscore[kubernetes]'",
            condition="KUBERNETES_CLIENT_MISSING",
            package="kubernetes",
        ) from error
    return client, client.ApiException, HTTPError


def _make_client(context: str | None) -> Any:
    """A client as kubectl would have it; without a kubeconfig, as a pod of the cluster has it."""
    from kubernetes import client, config
    from yaml import YAMLError

    configuration, load = client.Configuration(), cast("Any", config)  # it has no types
    try:
        file = os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
        if context or os.environ.get("KUBECONFIG") or os.path.exists(file):
            load.load_kube_config(file, context=context, client_configuration=configuration)
        else:
            load.load_incluster_config(client_configuration=configuration)
    except (config.ConfigException, OSError, YAMLError) as error:
        raise SubmitError(
            f"no Kubernetes cluster is configured here ({_in_one_line(error)}): set KUBECONFIG, or "
            "the key context of the compute to one of its contexts",
            condition="PLATFORM_NOT_CONFIGURED",
            context=context,
        ) from error
    configuration.retries = False
    return client.ApiClient(configuration)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _read_message(error: Any) -> str:
    """The message of an answer, which is a Status object if the API itself wrote it."""
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else error.body
    try:
        message = json.loads(body)["message"]
    except (KeyError, TypeError, ValueError):
        message = (body or "").strip()
    return str(message or error.reason or "no reason was given")[:1000]
