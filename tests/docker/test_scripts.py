"""The scripts of the images one by one, with programs that only tell how they were called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sparkscore.control.workspace_config import read_config
from tests.servers.s3 import s3_server

SCRIPTS = Path(__file__).resolve().parents[2] / "docker" / "scripts"


def make_program(path: Path, text: str = 'printf "%s\\n" "$0" "$@"') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def call(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [str(SCRIPTS / script), *arguments],
        env={"HOME": os.environ["HOME"], "PATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_spark_entrypoint__driver_is_submitted_as_client(tmp_path: Path) -> None:
    submit = make_program(tmp_path / "bin" / "spark-submit")
    done = call(
        "spark-entrypoint",
        *("driver", "--properties-file", "/opt/spark/conf/x", "local:///opt/sparkscore/score.py"),
        SPARK_HOME=str(tmp_path),
        SPARK_DRIVER_BIND_ADDRESS="10.1.2.3",
    )
    assert done.stdout.splitlines() == [
        str(submit),
        *("--conf", "spark.driver.bindAddress=10.1.2.3"),
        *("--conf", "spark.executorEnv.SPARK_DRIVER_POD_IP=10.1.2.3"),
        *("--deploy-mode", "client"),
        *("--properties-file", "/opt/spark/conf/x", "local:///opt/sparkscore/score.py"),
    ]


def test_spark_entrypoint__executor_is_told_by_its_pod(tmp_path: Path) -> None:
    java = make_program(tmp_path / "java" / "bin" / "java")
    done = call(
        "spark-entrypoint",
        "executor",
        JAVA_HOME=str(java.parents[1]),
        SPARK_HOME="/opt/spark",
        SPARK_EXECUTOR_MEMORY="2g",
        SPARK_DRIVER_URL="spark://driver",
        SPARK_EXECUTOR_ID="3",
        SPARK_EXECUTOR_CORES="4",
        SPARK_APPLICATION_ID="app",
        SPARK_EXECUTOR_POD_IP="10.1.2.4",
        SPARK_RESOURCE_PROFILE_ID="0",
        SPARK_EXECUTOR_POD_NAME="exec-3",
        SPARK_JAVA_OPT_1="-Dspark.b=with a blank",
        SPARK_JAVA_OPT_0="-Dspark.a=1",
        SPARK_JAVA_OPT_10="-Dspark.c=3",
    )
    assert done.stdout.splitlines() == [
        str(java),
        *("-Dspark.a=1", "-Dspark.b=with a blank", "-Dspark.c=3"),
        *("-Xms2g", "-Xmx2g", "-cp", "/opt/spark/conf:/opt/spark/jars/*"),
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        *("--driver-url", "spark://driver", "--executor-id", "3", "--cores", "4"),
        *("--app-id", "app", "--hostname", "10.1.2.4", "--resourceProfileId", "0"),
        *("--podName", "exec-3"),
    ]


@pytest.mark.parametrize(
    ("role", "name", "ports"),
    [
        ("master", "master.Master", ["--port", "7077", "--webui-port", "8080"]),
        ("worker", "worker.Worker", ["--webui-port", "8081"]),
    ],
)
def test_spark_entrypoint__standalone(
    tmp_path: Path, role: str, name: str, ports: list[str]
) -> None:
    spark_class = make_program(tmp_path / "bin" / "spark-class")
    done = call("spark-entrypoint", role, "spark://master:7077", SPARK_HOME=str(tmp_path))
    wanted = [str(spark_class), f"org.apache.spark.deploy.{name}", *ports, "spark://master:7077"]
    assert done.stdout.splitlines() == wanted


def test_spark_entrypoint__runs_other_commands_and_asks_for_one() -> None:
    assert call("spark-entrypoint", "echo", "a b").stdout == "a b\n"
    assert call("spark-entrypoint").returncode == 2


def call_server(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The server's entry point with a ``sparkscore`` that tells how it was called."""
    told = 'printf "%s\\n" "$*"; if [ "$1" = compute ]; then cat "$4" >&2; fi'
    make_program(tmp_path / "bin" / "sparkscore", told)
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    workspace = str(tmp_path / "workspace")
    return call("server-entrypoint", PATH=path, SPARKSCORE_WORKSPACE=workspace, **variables)


def test_server_entrypoint__makes_workspace_certificate_and_compute(tmp_path: Path) -> None:
    done = call_server(
        tmp_path,
        SPARKSCORE_STORE_URL="postgresql://db/sparkscore",
        SPARKSCORE_DATASTORE_URI="s3://bucket/workspace",
        SPARKSCORE_MASTER="spark://master:7077",
        PGPASSWORD="a-secret",
    )
    tls = tmp_path / "workspace" / "tls"
    assert done.stdout.splitlines() == [
        f"serve --host 0.0.0.0 --port 8600 --tls-cert {tls}/server.pem --tls-key {tls}/server.key"
    ]
    lines = ["name: cluster", "type: spark", "master: spark://master:7077", "shared_paths: false"]
    assert done.stderr.splitlines() == lines
    config = read_config(tmp_path / "workspace")
    assert config.store_url == "postgresql://db/sparkscore"
    assert config.datastore_uri == "s3://bucket/workspace"
    assert (tls / "server.key").stat().st_mode & 0o077 == 0
    assert "a-secret" not in (tmp_path / "workspace" / "sparkscore.toml").read_text()


def test_server_entrypoint__leaves_what_is_there(tmp_path: Path) -> None:
    call_server(tmp_path)
    settings = tmp_path / "workspace" / "sparkscore.toml"
    settings.write_text('[workspace]\nname = "mine"\n')
    certificate = (tmp_path / "workspace" / "tls" / "server.pem").read_bytes()
    call_server(tmp_path, SPARKSCORE_STORE_URL="postgresql://other/one")
    assert settings.read_text() == '[workspace]\nname = "mine"\n'
    assert (tmp_path / "workspace" / "tls" / "server.pem").read_bytes() == certificate


def test_server_entrypoint__certificate_that_ends_soon_is_made_anew(tmp_path: Path) -> None:
    tls = tmp_path / "workspace" / "tls"
    tls.mkdir(parents=True)
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20"]
    files = ["-keyout", str(tls / "server.key"), "-out", str(tls / "server.pem")]
    subprocess.run([*request, "-subj", "/CN=old", *files], check=True, capture_output=True)
    assert call_server(tmp_path).returncode == 0
    show = ["openssl", "x509", "-noout", "-in", str(tls / "server.pem")]
    subprocess.run([*show, "-checkend", str(300 * 86_400)], check=True, capture_output=True)


def test_server_entrypoint__certificate_from_outside(tmp_path: Path) -> None:
    done = call_server(tmp_path, SPARKSCORE_TLS_CERT="/c.pem", SPARKSCORE_TLS_KEY="/k.pem")
    assert done.stdout.endswith("--tls-cert /c.pem --tls-key /k.pem\n")
    assert not (tmp_path / "workspace" / "tls").exists()


@pytest.mark.parametrize(("listed", "found"), [("0\n1\n", ["0", "1"]), ("7\n", ["7"])])
def test_find_gpus__as_spark_wants_them(tmp_path: Path, listed: str, found: list[str]) -> None:
    make_program(tmp_path / "nvidia-smi", f"printf '{listed}'")
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = call("find-gpus", PATH=path)
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": found}


def test_find_gpus__fails_without_any(tmp_path: Path) -> None:
    make_program(tmp_path / "nvidia-smi", "exit 9")
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    assert call("find-gpus", PATH=path).returncode != 0


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 500)
        self.end_headers()

    def log_message(self, *values: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_check_health__by_the_answer(address: str) -> None:
    assert call("check-health", f"{address}/healthz").returncode == 0
    assert call("check-health", f"{address}/other").returncode == 1
    assert call("check-health", "http://127.0.0.1:1/healthz").returncode == 1


def test_check_health__asks_no_proxy(address: str) -> None:
    proxy = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    assert call("check-health", f"{address}/healthz", **proxy).returncode == 0


def test_make_bucket__once_and_again() -> None:
    with s3_server("other") as store:
        assert call("make-bucket", "sparkscore", **store.environment).returncode == 0
        assert call("make-bucket", "sparkscore", **store.environment).returncode == 0
        store.put("a", b"")
