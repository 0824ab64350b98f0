"""What the images hold and what the compose file starts, as processes: a job from end to end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sparkscore.targets.java import find_java
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import s3_server
from tests.servers.store import StoreServer
from tests.spark.clusters import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SCRIPTS = Path(__file__).resolve().parents[2] / "docker" / "scripts"
DEPLOYMENT = """\
name: sizes
endpoint_name: files
model: {path: ./model.txt}
code_configuration: {code: ./code, scoring_script: score.py}
compute: azureml:cluster
resources: {instance_count: 2}
mini_batch_size: 3
"""
SCRIPT = """\
import os

def init():
    pass

def run(batch):
    return [f"{os.path.basename(path)}={os.path.getsize(path)}" for path in batch]
"""
INPUTS = 12


def run_script(name: str, *arguments: str, **variables: str) -> None:
    command = [str(SCRIPTS / name), *arguments]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a container: environment and Spark as the Dockerfile's steps make them."""
    folder = tmp_path_factory.mktemp("image")
    cache = os.environ.get("SPARKSCORE_CACHE") or str(Path.home() / ".cache" / "sparkscore")
    environment = folder / "venv"
    run_script("build-wheel", str(folder / "wheel"))
    extras = ("s3", "postgres", "server")
    arguments = [str(environment), str(folder / "wheel"), *extras]
    try:
        run_script("make-environment", *arguments, UV_OFFLINE="1", PYTHON=sys.executable)
    except AssertionError:
        run_script("make-environment", *arguments, PYTHON=sys.executable)
    java = {"JAVA_HOME": str(find_java(os.environ).home)}
    run_script("install-spark", str(environment), str(folder / "spark"), cache, **java)
    path = os.pathsep.join([str(environment / "bin"), str(SCRIPTS), "/usr/bin", "/bin"])
    return {
        "PATH": path,
        "HOME": str(folder),
        "SPARK_HOME": str(folder / "spark"),
        "SPARKSCORE_CACHE": cache,
        "PYSPARK_PYTHON": str(environment / "bin" / "python"),
        "PYSPARK_DRIVER_PYTHON": str(environment / "bin" / "python"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        **java,
    }


class Containers:
    """Processes with the variables of containers, ended with the test."""

    def __init__(self, folder: Path, variables: dict[str, str], stack: ExitStack) -> None:
        self.folder, self.variables, self._stack = folder, variables, stack
        self._starting: dict[str, Path] = {}

    def start(self, *command: str, health: str, **variables: str) -> None:
        """Start a service; ``wait`` waits until its check is content."""
        log_file = self.folder / f"service-{len(self._starting)}.log"
        with open(log_file, "ab") as log:
            process = subprocess.Popen(
                command,
                env={**self.variables, **variables},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                executable=str(SCRIPTS / command[0]),
            )
        self._stack.callback(process.wait, 30)
        self._stack.callback(process.terminate)
        self._starting[health] = log_file

    def wait(self) -> None:
        """Wait until all services are healthy."""
        for health, log in self._starting.items():
            deadline = time.monotonic() + 150
            while not self.is_healthy(health):
                assert time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(0.5)

    def is_healthy(self, url: str) -> bool:
        command = [str(SCRIPTS / "check-health"), url]
        return subprocess.run(command, env=self.variables, capture_output=True).returncode == 0

    def call(self, *command: str, **variables: str) -> str:
        """What a command in a container prints."""
        done = subprocess.run(
            command,
            env={**self.variables, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def start_cluster(containers: Containers) -> str:
    """The URL of a master with two workers, started by the images' entry point."""
    port, page = free_port(), free_port()
    containers.start(
        *("spark-entrypoint", "master", "--host", "127.0.0.1"),
        health=f"http://127.0.0.1:{page}/",
        SPARK_MASTER_PORT=str(port),
        SPARK_MASTER_WEBUI_PORT=str(page),
    )
    url = f"spark://127.0.0.1:{port}"
    for number in (1, 2):
        own_page = free_port()
        containers.start(
            *("spark-entrypoint", "worker", "--host", "127.0.0.1", "--cores", "1"),
            *("--memory", "1500m", "--work-dir", str(containers.folder / f"worker-{number}"), url),
            health=f"http://127.0.0.1:{own_page}/",
            SPARK_WORKER_WEBUI_PORT=str(own_page),
        )
    return url


def write_deployment(folder: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "model.txt").write_text("1")
    (folder / "deployment.yml").write_text(DEPLOYMENT)
    (folder / "endpoint.yml").write_text("name: files\n")


def test_compose__scores_a_job_on_the_cluster(
    image: dict[str, str], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    database = urlsplit(postgres_server.create_database())
    with s3_server("other") as store, ExitStack() as stack:
        variables = {**image, **store.environment}
        containers = Containers(tmp_path, variables, stack)
        containers.call(str(SCRIPTS / "make-bucket"), "sparkscore")
        master = start_cluster(containers)
        port = free_port()
        server = {
            "SPARKSCORE_WORKSPACE": str(tmp_path / "workspace"),
            "SPARKSCORE_CONFIG_DIR": str(tmp_path / "config"),
            "SPARKSCORE_PORT": str(port),
            "SPARKSCORE_MASTER": master,
            "SPARKSCORE_STORE_URL": f"postgresql://127.0.0.1:{database.port}{database.path}",
            "SPARKSCORE_DATASTORE_URI": "s3://sparkscore/workspace",
            "PGUSER": str(database.username),
            "PGPASSWORD": str(database.password),
        }
        address = f"https://127.0.0.1:{port}"
        containers.start("server-entrypoint", health=f"{address}/healthz", **server)
        containers.wait()
        check_job(containers, store, server)


def check_job(containers: Containers, store: StoreServer, server: dict[str, str]) -> None:
    """Somebody in the server's container makes an endpoint and invokes it."""
    write_deployment(containers.folder)
    inputs = f"{store.uri}/in"
    for number in range(INPUTS):
        store.put(f"in/{number:02}.txt", b"x" * (number + 1))
    for command in (
        ("batch-endpoint", "create", "--file", "endpoint.yml"),
        ("batch-deployment", "create", "--file", "deployment.yml", "--set-default"),
        ("batch-endpoint", "invoke", "-n", "files", "--job-name", "first", "--input", inputs),
        ("job", "stream", "--name", "first"),
        ("job", "download", "--name", "first", "--output-name", "score", "-p", "got"),
    ):
        containers.call("sparkscore", *command, **server)
    (predictions,) = containers.folder.glob("got/**/predictions.csv")
    rows = predictions.read_text().splitlines()
    assert sorted(rows)[:INPUTS] == [f"{number:02}.txt={number + 1}" for number in range(INPUTS)]
