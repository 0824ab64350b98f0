"""Processes that are told apart from later ones."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

from sparkscore.control.jobs.processes import find_identity, get_own_identity, is_alive


def start() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_is_alive__until_it_ends() -> None:
    process = start()
    identity = find_identity(process.pid)
    assert is_alive(identity) is True
    assert find_identity(process.pid) == identity
    process.communicate()
    assert is_alive(identity) is False
    assert find_identity(process.pid) is None


def test_is_alive__not_when_nobody_has_waited_for_it() -> None:
    process = start()
    identity = find_identity(process.pid)
    process.kill()
    while find_identity(process.pid) is not None:
        pass
    assert is_alive(identity) is False
    process.communicate()


def test_is_alive__another_process_with_the_same_id() -> None:
    own = get_own_identity()
    assert is_alive(own) is True
    start_time = own.start_token.rpartition(":")[0] + ":1"
    assert is_alive(dataclasses.replace(own, start_token=start_time)) is False


def test_is_alive__before_this_machine_started() -> None:
    own = get_own_identity()
    rest = own.start_token.partition(":")[2]
    assert is_alive(dataclasses.replace(own, start_token=f"other-boot:{rest}")) is False


def test_is_alive__out_of_sight() -> None:
    own = get_own_identity()
    assert is_alive(dataclasses.replace(own, host="another-host")) is None
    boot, _, ticks = own.start_token.split(":")
    assert is_alive(dataclasses.replace(own, start_token=f"{boot}:1:{ticks}")) is None


def test_is_alive__never_recorded() -> None:
    assert is_alive(None) is False
