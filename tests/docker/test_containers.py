"""The images and the compose file at work, without Docker: the first job of docs/docker.md."""

from __future__ import annotations

import re
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docker.composed import Composed
from tests.docker.dockerfile import ROOT
from tests.spark.namespaces import open_network

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PAGE = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
GIVEN = {"POSTGRES_PASSWORD": "db-secret", "S3_KEY_ID": "key-id", "S3_SECRET_KEY": "s3-secret"}
TEXTS = {f"{number}.txt": "spark " * number for number in range(5)}
SERVICES = 7


@pytest.fixture(scope="module")
def composed() -> Iterator[Composed]:
    """All services of the compose file, healthy."""
    folder = Path(tempfile.mkdtemp(prefix="sparkscore-images-", dir="/dev/shm"))
    try:
        with open_network(SERVICES) as network, ExitStack() as stack:
            services = Composed(folder, network, stack, GIVEN)
            services.up()
            yield services
    finally:
        shutil.rmtree(folder)


def write_example(folder: Path) -> None:
    """The files that the page shows, and inputs."""
    shown = re.findall(r"^```\w*\n# (mine/\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(shown) == 4
    for name, text in [*shown, *((f"mine/inputs/{path}", text) for path, text in TEXTS.items())]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def find_commands() -> list[list[str]]:
    """What the page says to run once the services are up."""
    lines = re.findall(r"^docker compose ((?:exec|cp) .*)$", PAGE, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def copy(composed: Composed, source: str, target: str, *, folder: Path) -> None:
    """What ``docker compose cp`` does with a folder."""
    inside, outside = (source, target) if ":" in source else (target, source)
    service, _, path = inside.partition(":")
    there, here = composed.find_path(service, path), folder / outside
    shutil.copytree(*((there, here) if inside == source else (here, there)))


def test_compose__runs_the_first_job_of_the_page(composed: Composed, tmp_path: Path) -> None:
    write_example(tmp_path)
    printed = {}
    for verb, *arguments in find_commands():
        if verb == "cp":
            copy(composed, *arguments, folder=tmp_path)
        else:
            printed[" ".join(arguments[2:4])] = composed.execute(*arguments)
    assert {"token create", "batch-endpoint invoke", "job stream"} <= set(printed)
    (predictions,) = (tmp_path / "results").rglob("predictions.csv")
    lines = predictions.read_text().split()
    assert lines == ["prediction", *(f"{number}.txt={number}" for number in range(len(TEXTS)))]
    workers = [f"worker-{number}" for number in (1, 2)]
    ran = [name for name in workers if "Asked to launch executor" in composed.read_log(name)]
    assert ran == workers


def test_server__goes_on_where_it_was_stopped(composed: Composed) -> None:
    tls = "/var/lib/sparkscore/workspace/tls/server"
    certificate = composed.find_path("server", f"{tls}.pem").read_bytes()
    composed.stop("server")
    composed.up()
    assert composed.find_path("server", f"{tls}.pem").read_bytes() == certificate
    listed = composed.execute("server", "sparkscore", "compute", "list", "--query", "[].name")
    assert "cluster" in listed


@pytest.mark.parametrize("name", ["master", "worker-1", "server"])
def test_service__runs_without_root_and_cannot_change_the_image(
    composed: Composed, name: str
) -> None:
    assert composed.execute(name, "id").startswith("uid=185(spark) gid=0(root)")
    for path in ("/opt/spark", "/opt/sparkscore/venv", "/opt/sparkscore/cache", "/etc/passwd"):
        status = composed.find_path(name, path).stat()
        assert status.st_uid == 0, path
        assert not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH), path
    rights = composed.find_path(name, "/proc/1/status").read_text()
    assert re.search(r"^CapBnd:\t0+$", rights, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", rights, re.MULTILINE)


def test_secrets__are_in_no_file_of_the_workspace(composed: Composed) -> None:
    search = "grep -rlFa -e {} /var/lib/sparkscore || true"
    assert composed.execute("server", "sh", "-c", search.format("postgresql://postgres")) != ""
    for secret in GIVEN.values():
        assert composed.execute("server", "sh", "-c", search.format(secret)) == "", secret


def test_build_tools__have_the_versions_of_the_lock(composed: Composed) -> None:
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name in ("uv", "build", "hatchling"):
        found = re.search(rf"^{name}==(\S+) ", locked, re.MULTILINE)
        assert found is not None
        assert list(composed.folder.glob(f"build/**/{name}-{found[1]}.dist-info")) != []


def test_spark_image__runs_as_a_user_without_a_name(composed: Composed) -> None:
    login = "org.apache.hadoop.security.UserGroupInformation"
    printed = composed.run("master", "java", "-cp", "/opt/spark/jars/*", login, user="12345")
    assert re.search(r"^User: spark$", printed, re.MULTILINE)
