"""A Kubernetes API server as far as runs need it: custom objects, pods, logs. Tests only.

It takes bearer tokens, refuses what the published schemas refuse, and answers as the real one does.
``operator`` is told of new and deleted resources; without one they stay as they are.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.servers.crds.strict import find_problems, load_schema

TOKEN = "a-token-of-tests"

_OBJECTS = re.compile(
    r"/apis/(?P<group>[^/]+)/(?P<version>[^/]+)/namespaces/(?P<namespace>[^/]+)/sparkapplications"
    r"(/(?P<name>[^/]+))?"
)
_PODS = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/pods(/(?P<name>[^/]+)/log)?")
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "AlreadyExists",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}

Key = tuple[str, str, str]
"""Group, namespace and name of a resource."""


class Operator(Protocol):
    """Who acts on resources; called while no lock is held."""

    def on_created(self, key: Key, resource: dict[str, Any]) -> None: ...

    def on_deleted(self, key: Key) -> None: ...


class _Refusal(Exception):  # noqa: N818 - an answer
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class KubernetesServer:
    """What the cluster holds. ``faults`` are answered first, each once: status and headers.

    As many POST requests as ``lost_answers`` says are done, and their answers never sent.
    Nobody listens any more once request number ``last_request`` is answered.
    ``token`` may be changed while it runs; ``namespaces`` are those that it has, ``allowed`` those
    that the token may use; ``operators`` are those that are installed.
    """

    url: str = ""
    token: str = TOKEN
    namespaces: set[str] = field(default_factory=lambda: {"default", "scoring"})
    allowed: set[str] = field(default_factory=lambda: {"default", "scoring"})
    may_see_pods: bool = True
    operators: tuple[str, ...] = ("kubeflow", "apache")
    operator: Operator | None = None
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    resources: dict[Key, dict[str, Any]] = field(default_factory=dict)
    pods: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    logs: dict[tuple[str, str], str] = field(default_factory=dict)
    faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    lost_answers: int = 0
    last_request: int | None = None
    requests: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def write_kubeconfig(self, file: Path, *, token: str | None = None) -> Path:
        """A kubeconfig with the contexts ``tests``, which is current, and ``nowhere``."""
        contexts = {"tests": self.url, "nowhere": "http://127.0.0.1:9"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "contexts": [
                {"name": name, "context": {"cluster": name, "user": "tests"}} for name in contexts
            ],
            "clusters": [
                {"name": name, "cluster": {"server": url}} for name, url in contexts.items()
            ],
            "users": [{"name": "tests", "user": {"token": token or self.token}}],
        }
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return file

    def set_status(self, key: Key, status: dict[str, Any]) -> None:
        """What an operator does: replace the status of a resource, if it is still there."""
        with self.lock:
            resource = self.resources.get(key)
            if resource is not None:
                resource["status"] = status
                metadata = resource["metadata"]
                metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)

    def set_pod(
        self, namespace: str, name: str, *, labels: dict[str, str], status: dict[str, Any]
    ) -> None:
        """Create a pod or replace its status."""
        with self.lock:
            before = self.pods.get((namespace, name), {"metadata": {}})["metadata"]
            created = before.get("creationTimestamp") or _now()
            metadata = {"name": name, "labels": labels, "creationTimestamp": created}
            self.pods[namespace, name] = {"metadata": metadata, "status": status}

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """The answer to one request: status and body."""
        split = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        if match := _OBJECTS.fullmatch(split.path):
            self._check_crd(match["group"], match["version"])
            self._check_namespace(match["namespace"], "sparkapplications." + match["group"])
            return self._answer_objects(method, match, body)
        if match := _PODS.fullmatch(split.path):
            self._check_namespace(match["namespace"], "pods", allowed=self.may_see_pods)
            return self._answer_pods(match, query)
        raise _Refusal(404, "404 page not found")

    def _check_crd(self, group: str, version: str) -> None:
        installed = [load_schema(operator) for operator in self.operators]
        if (group, version) not in [(crd["group"], crd["version"]) for crd in installed]:
            raise _Refusal(404, "404 page not found")

    def _check_namespace(self, namespace: str, what: str, *, allowed: bool = True) -> None:
        if namespace not in self.allowed or not allowed:
            raise _Refusal(
                403,
                f'{what} is forbidden: User "tests" cannot use resource "{what}" in the namespace '
                f'"{namespace}"',
            )

    def _answer_objects(self, method: str, match: re.Match[str], body: Any) -> tuple[int, Any]:
        group, namespace, name = match["group"], match["namespace"], match["name"]
        if method == "POST" and name is None:
            return 201, self._create(group, namespace, body)
        if method == "GET" and name is None:
            items = [
                resource
                for key, resource in sorted(self.resources.items())
                if key[:2] == (group, namespace)
            ]
            return 200, {"kind": "SparkApplicationList", "items": items}
        key = (group, namespace, name)
        if key not in self.resources:
            raise _Refusal(404, f'sparkapplications.{group} "{name}" not found')
        if method == "DELETE":
            with self.lock:
                del self.resources[key]
            if self.operator is not None:
                self.operator.on_deleted(key)
            return 200, {"kind": "Status", "status": "Success"}
        if method == "GET":
            return 200, self.resources[key]
        raise _Refusal(405, "the server does not allow this method on the requested resource")

    def _create(self, group: str, namespace: str, body: Any) -> dict[str, Any]:
        if namespace not in self.namespaces:
            raise _Refusal(404, f'namespaces "{namespace}" not found')
        (operator,) = (name for name in self.operators if load_schema(name)["group"] == group)
        name = body["metadata"]["name"]
        problems = find_problems(body, operator)
        if body["metadata"].get("namespace", namespace) != namespace:
            raise _Refusal(400, "the namespace of the provided object does not match the request")
        if problems:
            raise _Refusal(422, f'SparkApplication "{name}" is invalid: {"; ".join(problems)}')
        key = (group, namespace, name)
        with self.lock:
            if key in self.resources:
                raise _Refusal(409, f'sparkapplications.{group} "{name}" already exists')
            body["metadata"] |= {
                "namespace": namespace,
                "uid": str(uuid.uuid4()),
                "resourceVersion": "1",
                "generation": 1,
                "creationTimestamp": _now(),
            }
            self.resources[key] = body
        if self.operator is not None:
            self.operator.on_created(key, body)
        return dict(body)

    def _answer_pods(self, match: re.Match[str], query: dict[str, str]) -> tuple[int, Any]:
        namespace, name = match["namespace"], match["name"]
        if name is not None:
            if (namespace, name) not in self.logs:
                raise _Refusal(404, f'pods "{name}" not found')
            lines = self.logs[namespace, name].splitlines(keepends=True)
            return 200, "".join(lines[-int(query.get("tailLines", "1000")) :])
        wanted = dict(part.split("=") for part in query.get("labelSelector", "").split(",") if part)
        phase = query.get("fieldSelector", "").removeprefix("status.phase=")
        items = [
            pod
            for (place, _), pod in sorted(self.pods.items())
            if place == namespace
            and wanted.items() <= pod["metadata"]["labels"].items()
            and phase in ("", pod["status"].get("phase"))
        ]
        return 200, {"kind": "PodList", "items": items[: int(query.get("limit", "500"))]}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


def _make_handler(server: KubernetesServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            server.requests.append(f"{self.command} {urlsplit(self.path).path}")
            if len(server.requests) == server.last_request:
                self.server.shutdown()
                self.server.server_close()
            if server.faults:
                status, headers = server.faults.pop(0)
                self._send(status, _build_status(status, "asked to"), headers)
                return
            if self.headers.get("Authorization") != f"Bearer {server.token}":
                self._send(401, _build_status(401, "Unauthorized"))
                return
            try:
                answered = server.answer(self.command, self.path, body)
                if self.command == "POST" and server.lost_answers:
                    server.lost_answers -= 1
                    self.close_connection = True
                    return
                self._send(*answered)
            except _Refusal as refusal:
                is_text = refusal.message == "404 page not found"
                message = refusal.message
                answer = message if is_text else _build_status(refusal.code, message)
                self._send(refusal.code, answer)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - names of the base

        def _send(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
            content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            kind = "text/plain" if isinstance(answer, str) else "application/json"
            for name, value in {"Content-Type": kind, **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            if len(server.requests) == server.last_request:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Nothing: tests' output is for tests."""

    return Handler


def _build_status(code: int, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, ""),
        "code": code,
    }


@contextmanager
def kubernetes_server() -> Iterator[KubernetesServer]:
    """A cluster on a free port of this machine."""
    cluster = KubernetesServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(cluster))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    cluster.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
