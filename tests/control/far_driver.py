"""Stands in for a driver on a platform: writes into the job's folder in the store.

``FAR_DRIVER`` says what: complete, die, or wait until the file ``go`` or ``cancel`` is there.
"""

import json
import os
import sys
import time

import fsspec

RUN = int(sys.argv[sys.argv.index("--run-number") + 1])
folder = sys.argv[1].rpartition("/")[0]
store, root = fsspec.url_to_fs(folder)
job = root.rpartition("/")[2]


def exists(name):
    store.invalidate_cache()
    return store.exists(f"{root}/{name}")


def write(name, **content):
    store.pipe_file(f"{root}/{name}", json.dumps({"protocol": 1, "job": job, **content}).encode())


def tell(status, sequence):
    write("status.json", status=status, sequence=sequence, heartbeat_at=time.time(), started_at=0.0)


def read(name):
    store.invalidate_cache()
    try:
        return json.loads(store.cat_file(f"{root}/{name}"))
    except FileNotFoundError:
        return None


def is_canceled():
    cancel = read("cancel")
    return cancel is not None and cancel["run"] >= RUN


def end(status, error=None, code=0):
    done = 0 if error else 8
    write(
        "summary.json",
        status=status,
        inputs={"total": 8, "succeeded": done, "failed": 0},
        unprocessed_inputs=8 - done,
        output=None if error else {"path": f"{folder}/score/predictions.csv", "format": "csv"},
        error=error,
        run=RUN,
    )
    sys.exit(code)


def wait():
    sequence = 2
    while True:
        if is_canceled():
            error = {"condition": "CANCELED", "message": "canceled", "exit_code": 6}
            end("Canceled", error, 6)
        if exists("go"):
            return
        tell("Running", sequence)
        sequence += 1
        time.sleep(0.2)


if read("launch.json")["run"] > RUN or (read("summary.json") or {"run": -1})["run"] >= RUN:
    sys.exit(0)
store.pipe_file(f"{root}/starts/{time.time_ns()}", sys.argv[1].encode())
behaviour = os.environ["FAR_DRIVER"]
if behaviour == "die":
    print("boom: no module named of_nobody", flush=True)
    sys.exit(3)
tell("Running", 1)
store.pipe_file(f"{root}/logs/user/stdout/node/w.stdout.txt", b"[mb 000000 try 1] hello\n")
if behaviour == "wait":
    wait()
store.pipe_file(f"{root}/failed_inputs.csv", b"path,mini_batch_id,condition,message,count\n")
end("Completed")
