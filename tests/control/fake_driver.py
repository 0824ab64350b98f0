"""Stands in for the Spark driver: writes the files of a job folder as FAKE_DRIVER says."""

import json
import os
import signal
import sys
import time
from pathlib import Path

FOLDER = Path(json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8"))["job_folder"])


def replace(name, **content):
    partial = FOLDER / f"{name}.partial"
    partial.write_text(json.dumps({"protocol": 1, **content}, indent=2), encoding="utf-8")
    partial.replace(FOLDER / name)


def write_status(status, sequence, done=0):
    replace(
        "status.json",
        job=FOLDER.name,
        status=status,
        sequence=sequence,
        heartbeat_at=0.0,
        started_at=0.0,
        mini_batches=4,
        mini_batches_done=done,
        inputs=8,
        inputs_succeeded=2 * done,
    )


def write_summary(status, error=None, failed=0):
    done = status == "Completed"
    replace(
        "summary.json",
        job=FOLDER.name,
        status=status,
        inputs={"total": 8, "succeeded": 8 - failed if done else 0, "failed": failed},
        mini_batches={"total": 4, "succeeded": 4 if done else 0, "failed": 0},
        unprocessed_inputs=0 if done else 8,
        rows=8 - failed if done else 0,
        output={"path": "out/predictions.csv", "format": "csv"} if done else None,
        error=error,
        seconds={"total": 0.5},
    )


def cancel(*_):
    write_summary("Canceled", {"condition": "CANCELED", "message": "canceled", "exit_code": 6})
    sys.exit(6)


def complete():
    write_status("Running", 2, done=2)
    time.sleep(0.4)
    write_status("Completed", 3, done=4)
    write_summary("Completed")


def fail_inputs():
    """Complete with two failed inputs of a name, and one without."""
    launch = json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8"))
    (FOLDER / "plan").mkdir()
    sizes = {"mini_batch_size": 2, "mini_batch_count": 4, "first_wave_count": 4, "input_count": 8}
    replace(
        "plan/plan.json",
        root=launch["input"]["uri"],
        transport="direct",
        digest="",
        input_bytes=8,
        skipped_hidden_count=0,
        **sizes,
    )
    (FOLDER / "failed_inputs.csv").write_text(
        "path,mini_batch_id,condition,message,count,candidates\n"
        "3.txt,1,SCRIPT_RAISED,ValueError: 3 is odd,1,\n"
        "5.txt,2,SCRIPT_RAISED,ValueError: 5 is odd,1,\n"
        ',3,SHORT_RESULT,1 result for 2 inputs,1,"[""6.txt"", ""7.txt""]"\n'
    )
    write_summary("Completed", failed=3)


def fail():
    error = {"condition": "ERROR_THRESHOLD_EXCEEDED", "message": "too\nmany", "exit_code": 4}
    write_summary("Failed", error)
    sys.exit(4)


def die():
    print("loading", flush=True)
    print("MemoryError: all of it", file=sys.stderr)
    sys.exit(1)


def find_lease_held():
    print("sparkscore: LEASE_HELD: process 7 runs the job", file=sys.stderr)
    sys.exit(5)


def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def wait():
    signal.signal(signal.SIGTERM, cancel)
    write_status("Running", 2)
    time.sleep(120)


def resist():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    write_status("Running", 2)
    time.sleep(120)


def linger():
    write_summary("Completed")
    time.sleep(120)


def wait_for_go():
    """Complete once the file ``go`` is in the job folder; tell beside it who starts and ends."""
    signal.signal(signal.SIGTERM, cancel)
    note("start")
    sequence = 2
    while not (FOLDER / "go").exists():
        write_status("Running", sequence, done=1)
        sequence += 1
        time.sleep(0.1)
    note("end")
    write_status("Completed", sequence, done=4)
    write_summary("Completed")


def note(what):
    with open(FOLDER.parent / "order.txt", "a", encoding="utf-8") as order:
        order.write(f"{what} {FOLDER.name}\n")


def show_environment():
    (FOLDER / "environment.json").write_text(json.dumps(dict(os.environ)), encoding="utf-8")
    complete()


write_status("Starting", 1)
globals()[os.environ.get("FAKE_DRIVER", "complete")]()
