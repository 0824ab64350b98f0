"""Starts what the compose file says without Docker: each service in a network namespace of its own,
over the layers of its image.

The images of others, PostgreSQL and the S3 store, are stood in for by the same programs of this
machine, started as those images start them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.docker.dockerfile import ROOT
from tests.docker.images import Builder, Image, enter
from tests.servers.postgres import find_programs
from tests.spark.namespaces import Network

COMPOSE_FILE = ROOT / "docker" / "compose.yaml"
_SECONDS = 180
_POSTGRES = """
set -eu
mkdir -p "$PGDATA" /var/run/postgresql
chown -R postgres "$PGDATA" /var/run/postgresql
as="setpriv --reuid postgres --regid postgres --clear-groups"
if [ ! -e "$PGDATA/PG_VERSION" ]; then
  echo "$POSTGRES_PASSWORD" > /tmp/password
  chmod 644 /tmp/password
  $as initdb --no-sync --encoding UTF8 --locale C --username "$POSTGRES_USER" \
    --pwfile /tmp/password --auth-local trust --auth-host scram-sha-256 > /dev/null
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | $as postgres --single -j postgres > /dev/null
fi
exec $as postgres -c "listen_addresses=*" -c fsync=off
"""
"""What the entry point of the image postgres does."""


class Composed:
    """The services of the compose file, ended with ``stack``. Each has a machine of ``network``."""

    def __init__(
        self, folder: Path, network: Network, stack: ExitStack, given: Mapping[str, str]
    ) -> None:
        variable = re.compile(r"\$\{(\w+):\?[^}]*\}")
        text = variable.sub(lambda found: given[found[1]], COMPOSE_FILE.read_text())
        self.services: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
        self.folder, self._stack = folder, stack
        self._machines = dict(zip(self.services, network.machines, strict=True))
        builder = Builder(folder)
        self._images = {name: self._find_image(name, builder) for name in self.services}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._hosts = folder / "hosts"
        lines = [f"{machine.address} {name}" for name, machine in self._machines.items()]
        self._hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))

    def up(self) -> None:
        """Start what does not run, each after what it depends on; wait until all are healthy."""
        waiting = [name for name in self.services if name not in self._running]
        deadline = time.monotonic() + _SECONDS
        while waiting or not all(map(self._is_fine, self.services)):
            for name in list(waiting):
                if all(map(self._is_fine, self.services[name].get("depends_on", ()))):
                    self.start(name)
                    waiting.remove(name)
            for name, process in self._running.items():
                assert process.poll() in (None, 0), f"{name}: {self.read_log(name)[-4000:]}"
            assert time.monotonic() < deadline, self._describe()
            time.sleep(0.3)

    def start(self, name: str) -> None:
        """Start a service over what it has written so far."""
        service, image = self.services[name], self._images[name]
        place = self.folder / name
        place.mkdir(exist_ok=True)
        command = [*image.entrypoint, *service.get("command", ())]
        mounts = {self._hosts: "/etc/hosts"}
        if not image.layers:
            mounts[ROOT] = str(ROOT)
        for volume in service.get("volumes", ()):
            source, _, target = volume.partition(":")
            mounts[self._make_volume(source, image, target)] = target
        entered = enter(
            image.layers,
            place,
            image.command(service.get("environment", {}), command),
            upper=place / "upper",
            mounts=mounts,
            hostname=service.get("hostname", name),
        )
        with open(place / "log", "ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self._machines[name].name, *entered],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._running[name] = process
        self._stack.callback(_end, process)

    def stop(self, name: str) -> None:
        """End a service by SIGTERM, as ``docker stop`` begins to."""
        process = self._running.pop(name)
        os.kill(_find_first(process), signal.SIGTERM)
        process.wait(30)

    def execute(self, name: str, *command: str) -> str:
        """What a command prints that is run as ``docker compose exec`` runs it."""
        done = self._inside(name, command)
        assert done.returncode == 0, f"{command}\n{done.stderr}\n{self.read_log(name)[-3000:]}"
        return done.stdout

    def run(self, name: str, *command: str, user: str) -> str:
        """What the image's entry point does with a command, as ``docker compose run`` calls it."""
        image = replace(self._images[name], user=user)
        place = self.folder / f"{name}-of-{user}"
        full = image.command({"HOME": "/"}, [*image.entrypoint, *command])
        entered = enter(image.layers, place, full, upper=place / "upper")
        return subprocess.run(
            entered, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    def find_path(self, name: str, path: str) -> Path:
        """A path of a service that runs, as seen from outside."""
        return Path(f"/proc/{_find_first(self._running[name])}/root{path}")

    def read_log(self, name: str) -> str:
        """What a service printed."""
        return (self.folder / name / "log").read_text(errors="replace")

    def is_healthy(self, name: str) -> bool:
        """What the service's check says, or that of its image."""
        test = self.services[name].get("healthcheck", {}).get("test", ["CMD"])[1:]
        command = test or self._images[name].health
        return self._inside(name, command).returncode == 0

    def _is_fine(self, name: str) -> bool:
        process = self._running.get(name)
        if process is None:
            return False
        if self.services[name]["restart"] == "no":
            return process.poll() == 0
        return self.is_healthy(name)

    def _inside(self, name: str, command: Any) -> subprocess.CompletedProcess[str]:
        image = self._images[name]
        pid = str(_find_first(self._running[name]))
        within = ["nsenter", "--target", pid, "--mount", "--net", "--uts", "--pid", "--root"]
        full = image.command(self.services[name].get("environment", {}), command)
        return subprocess.run([*within, *full], capture_output=True, text=True, timeout=200)

    def _find_image(self, name: str, builder: Builder) -> Image:
        service = self.services[name]
        if "build" in service:
            return builder.build(service["build"]["target"])
        if service["image"].startswith("postgres:"):
            path = f"{find_programs()}:/usr/sbin:/usr/bin:/sbin:/bin"
            variables = {"PATH": path, "PGDATA": "/var/lib/postgresql/data"}
            return Image((), variables=variables, entrypoint=("sh", "-c", _POSTGRES))
        assert service["image"].startswith("motoserver/moto:")
        programs = Path(sys.executable).parent
        variables = {"PATH": f"{programs}:/usr/bin:/bin"}
        return Image((), variables=variables, entrypoint=("moto_server", "-H", "0.0.0.0"))

    def _make_volume(self, name: str, image: Image, path: str) -> Path:
        """A new volume has owner and mode of the image's folder."""
        volume = self.folder / "volumes" / name
        if not volume.exists():
            volume.parent.mkdir(exist_ok=True)
            volume.mkdir(mode=0o755)
            for layer in reversed(image.layers):
                if (layer / path[1:]).is_dir():
                    found = (layer / path[1:]).stat()
                    os.chown(volume, found.st_uid, found.st_gid)
                    volume.chmod(found.st_mode & 0o7777)
        return volume

    def _describe(self) -> str:
        bad = [name for name in self.services if not self._is_fine(name)]
        logs = [f"{name}: {self.read_log(name)[-2000:]}" for name in bad if name in self._running]
        return f"not healthy: {bad}\n" + "\n".join(logs)


def _find_first(process: subprocess.Popen[bytes]) -> int:
    """The process that is number 1 inside."""
    children = psutil.Process(process.pid).children()
    return children[0].pid if children else process.pid


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a service with all its processes: ``unshare`` cannot, once they run as another user."""
    if process.poll() is None:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(_find_first(process), signal.SIGKILL)
    process.wait(30)
