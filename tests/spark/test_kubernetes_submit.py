"""What spark-submit asks Kubernetes for when a compiled folder is submitted to ``k8s://``.

Spark itself makes the driver's pod; the API server here takes every object and remembers it.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.control.samples import write_deployment
from tests.spark.clusters import SPARK_HOME, cluster_environment
from tests.spark.test_cluster import sparkscore

pytestmark = [pytest.mark.slow]

IMAGE = "registry.example.com/sparkscore:1"


class Api(ThreadingHTTPServer):
    """An API server whose objects are what was sent; ``asked`` are path and object of each."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, Any]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        made = json.loads(self.rfile.read(length))
        self.server.asked.append((self.path.partition("?")[0], made))
        made["metadata"]["uid"] = "0b1f"
        content = json.dumps(made).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PATCH = do_PUT = do_POST  # noqa: N815 - the names are http.server's

    def log_message(self, *arguments: object) -> None:
        """Nothing goes to standard error."""


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_submit__makes_the_driver_pod(api: Api, tmp_path: Path) -> None:
    write_deployment(tmp_path / "project", resources={"instance_count": 3, "gpus": 1})
    folder = tmp_path / "project"
    sparkscore(
        folder,
        *("compile", "--file", "deployment.yml", "--target", "spark-submit", "-o", "nightly"),
        *("--input", "s3://bucket/in", "--output-path", "s3://bucket/out"),
        *("--set", "spark_conf={'spark.driver.memory': '2g'}"),
    )
    master = f"k8s://http://127.0.0.1:{api.server_port}"
    done = subprocess.run(
        [
            *(folder / "nightly" / "submit.sh", master, "cluster"),
            *("--conf", "spark.kubernetes.submission.waitAppCompletion=false"),
        ],
        env={
            **cluster_environment(),
            "SPARK_SUBMIT": str(SPARK_HOME / "bin" / "spark-submit"),
            "SPARKSCORE_IMAGE": IMAGE,
            "SPARKSCORE_STAGING": "s3://bucket/jobs/nightly",
            "SPARKSCORE_NAMESPACE": "scoring",
            "SPARKSCORE_SERVICE_ACCOUNT": "spark",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (pod,) = [made for path, made in api.asked if path == "/api/v1/namespaces/scoring/pods"]
    check_pod(pod)
    properties = find_properties(api)
    assert properties["spark.executor.instances"] == "3"
    assert properties["spark.executor.resource.gpu.vendor"] == "nvidia.com"
    assert properties["spark.executor.resource.gpu.amount"] == "1"


def check_pod(pod: dict[str, Any]) -> None:
    """The driver: its image, its account and its command."""
    assert pod["metadata"]["labels"]["spark-app-name"] == "nightly"
    assert pod["spec"]["serviceAccountName"] == "spark"
    (container,) = pod["spec"]["containers"]
    assert container["image"] == IMAGE
    arguments = container["args"]
    assert arguments[0] == "driver"
    assert arguments[-2:] == [
        "local:///opt/sparkscore/jobs/score.py",
        "s3://bucket/jobs/nightly/launch.json",
    ]


def find_properties(api: Api) -> dict[str, str]:
    """The Spark properties that the driver's pod gets as a file."""
    maps = [made for _, made in api.asked if made["kind"] == "ConfigMap"]
    (text,) = [
        made["data"]["spark.properties"] for made in maps if "spark.properties" in made["data"]
    ]
    lines = [line.partition("=") for line in text.splitlines() if not line.startswith("#")]
    return {name: value.replace("\\:", ":") for name, _, value in lines}
