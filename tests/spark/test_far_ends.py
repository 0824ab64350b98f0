"""Drivers that a platform starts again: what one leaves, the next one finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkscore.messages.status import TERMINAL
from tests.spark.conftest import MakeLaunch
from tests.spark.drivers import ONE_SLOT, FarDriver, list_below, read_summary, write_home

SCRIPT = """
import os, time
from pathlib import Path

def run(batch):
    if os.path.exists(os.environ["HOLD"]):
        time.sleep(0.7)
    return [Path(path).name for path in batch]
"""
INPUTS = 10


def check_left(driver: FarDriver, home: Path, *, token: int) -> None:
    """Nothing says that the job has ended, and the next driver may come in."""
    assert driver.end() == 6, driver.said
    assert "sparkscore: INTERRUPTED: " in driver.said
    assert f"lease/{token:06d}.released" in list_below(home)
    assert not (home / "summary.json").exists()
    assert json.loads((home / "status.json").read_text())["status"] not in TERMINAL


@pytest.mark.slow
def test_driver__is_stopped_bereft_untold_and_done(make_launch: MakeLaunch, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    variables = {"HOLD": str(hold)}
    launch = make_launch(
        SCRIPT, INPUTS, job=ONE_SLOT, mini_batch_size=1, environment_variables=variables
    )
    message = write_home(launch)
    home, output = message.parent, Path(launch.output.path) / "predictions.csv"

    stopped = FarDriver(message, tmp_path / "stopped.log")
    stopped.wait_until(lambda: any(home.glob("staging/*/_committed.json")))
    stopped.process.terminate()
    check_left(stopped, home, token=1)

    bereft = FarDriver(message, tmp_path / "bereft.log")
    bereft.wait_until(lambda: (home / "staging" / "inherited.2.json").exists())
    bereft.end_jvm()
    check_left(bereft, home, token=2)
    assert not output.exists()

    untold = FarDriver(message, tmp_path / "untold.log")
    untold.wait_until(lambda: (home / "staging" / "inherited.3.json").exists())
    (home / "summary.json").mkdir()  # it cannot be written now
    hold.unlink()
    assert untold.end() not in (0, 6)
    assert "sparkscore: STAGING_NOT_WRITABLE: " in untold.said
    published = output.stat()
    assert any(home.glob("staging/wave-*.1/_committed.json"))
    assert any(home.glob("staging/wave-*.3/_committed.json"))

    (home / "summary.json").rmdir()
    done = FarDriver(message, tmp_path / "done.log")
    assert done.end() == 0, done.said
    assert (output.stat().st_ino, output.stat().st_mtime_ns) == (
        published.st_ino,
        published.st_mtime_ns,
    )
    summary = read_summary(home)
    assert (summary["status"], summary["unprocessed_inputs"]) == ("Completed", 0)
    assert summary["inputs"] == {"total": INPUTS, "succeeded": INPUTS, "failed": 0}
    names = [line.partition(",")[0] for line in output.read_text().splitlines()[1:]]
    assert sorted(names) == [f"{number:04d}.txt" for number in range(INPUTS)]
    assert not (home / "staging").exists()
