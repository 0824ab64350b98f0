"""Machines in small: network and mount namespaces of this one, which share no folder with it.

Needs root on Linux, ``ip`` (iproute2) and ``unshare`` (util-linux), and the right to make
interfaces and mounts, which some containers do not give.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which

_HIDE = """
set -e
hidden=$1; shift
for folder in $hidden; do mount -t tmpfs -o size=4k none "$folder"; done
exec "$@"
"""
_PACKAGES = ("pandas", "pyarrow", "numpy", "numpy.libs", "dateutil", "pytz", "tzdata", "six.py")


@dataclass(frozen=True)
class Machine:
    """A namespace at ``address``."""

    name: str
    address: str

    def command(self, hidden: Sequence[Path]) -> list[str]:
        """What runs a command there; the ``hidden`` folders are empty to it."""
        folders = " ".join(map(str, hidden))
        isolated = ["unshare", "-m", "--propagation", "private", "sh", "-c", _HIDE, "sh", folders]
        return ["ip", "netns", "exec", self.name, *isolated]


@dataclass(frozen=True)
class Network:
    """This machine is ``prefix`` with 1, the others follow."""

    prefix: str
    machines: tuple[Machine, ...]

    @property
    def own_address(self) -> str:
        """The address of this machine."""
        return f"{self.prefix}1"


@contextmanager
def open_network(count: int) -> Iterator[Network]:
    """A bridge with so many machines; raises CannotMakeError where that is not allowed."""
    missing = [name for name in ("ip", "unshare", "mount") if which(name) is None]
    if missing or not sys.platform.startswith("linux"):
        raise CannotMakeError(f"namespaces need {', '.join(missing) or 'Linux'}")
    if os.geteuid() != 0:
        raise CannotMakeError("namespaces need root")
    token = f"{random.randrange(0x10000):04x}"
    prefix = f"10.{random.randrange(100, 250)}.{random.randrange(250)}."
    bridge = f"ssb{token}"
    machines = tuple(
        Machine(f"sparkscore-{token}-{number}", f"{prefix}{number}")
        for number in range(2, 2 + count)
    )
    try:
        _make_bridge(bridge, prefix)
        for number, machine in enumerate(machines):
            _join(machine, bridge, f"ssv{token}{number}", prefix)
        _run(*machines[0].command([Path("/mnt")]), "true")
        yield Network(prefix, machines)
    finally:
        for machine in machines:
            with suppress(CannotMakeError):
                _run("ip", "netns", "delete", machine.name)
        with suppress(CannotMakeError):
            _run("ip", "link", "delete", bridge)


class CannotMakeError(Exception):
    """This machine or its container does not allow namespaces."""


def _make_bridge(name: str, prefix: str) -> None:
    _run("ip", "link", "add", name, "type", "bridge")
    _run("ip", "address", "add", f"{prefix}1/24", "dev", name)
    _run("ip", "link", "set", name, "up")


def _join(machine: Machine, bridge: str, outside: str, prefix: str) -> None:
    _run("ip", "netns", "add", machine.name)
    inside = ("netns", machine.name)
    _run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", *inside)
    _run("ip", "link", "set", outside, "master", bridge, "up")
    there = ("ip", "-n", machine.name)
    _run(*there, "address", "add", f"{machine.address}/24", "dev", "eth0")
    _run(*there, "link", "set", "lo", "up")
    _run(*there, "link", "set", "eth0", "up")
    _run(*there, "route", "add", "default", "via", f"{prefix}1")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotMakeError(f"{' '.join(command)}: {done.stderr.strip()}")


def make_bare_python(folder: Path) -> Path:
    """A Python with pandas and pyarrow, and nothing of ours nor of Spark's; returns its path."""
    venv.create(folder, with_pip=False, symlinks=True)
    ours = Path(sysconfig.get_path("purelib"))
    (theirs,) = folder.glob("lib/python*/site-packages")
    for name in _PACKAGES:
        if (ours / name).exists():
            (theirs / name).symlink_to(ours / name)
    return folder / "bin" / "python"
