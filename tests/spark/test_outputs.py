"""Outputs: one file or a folder, all or nothing, in mini-batch order."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROWS = """
import os
import pandas as pd
def run(batch):
    names = [os.path.basename(path) for path in batch]
    return pd.DataFrame({"file": names, "size": [len(name) for name in names], "score": 0.5})
"""


def test_csv__has_header_and_rows_in_input_order(run_job: Any) -> None:
    job = run_job(ROWS, 5)
    assert (job.output / "predictions.csv").read_text() == "file,size,score\n" + "".join(
        f"000{n}.txt,8,0.5\n" for n in range(5)
    )
    assert os.listdir(job.output) == ["predictions.csv"]
    assert job.summary.output is not None
    assert job.summary.output["path"] == str(job.output / "predictions.csv")


def test_csv__of_the_reference_has_blanks_and_no_header(run_job: Any) -> None:
    job = run_job(ROWS, 2, output={"header": False, "separator": " "})
    assert (job.output / "predictions.csv").read_text() == "0000.txt 8 0.5\n0001.txt 8 0.5\n"


def test_jsonl__has_one_object_a_row(run_job: Any) -> None:
    job = run_job(ROWS, 3, output={"format": "jsonl", "file_name": "p.jsonl"})
    lines = (job.output / "p.jsonl").read_text().splitlines()
    assert json.loads(lines[2]) == {"file": "0002.txt", "size": 8, "score": 0.5}
    assert len(lines) == 3


def test_parquet__keeps_types(run_job: Any) -> None:
    job = run_job(ROWS, 3, output={"format": "parquet", "file_name": "p.parquet"})
    table = pq.read_table(job.output / "p.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string", "int64", "double"]
    assert table.num_rows == 3


def test_output_schema__pins_columns_from_the_start(run_job: Any) -> None:
    schema = {"file": "string", "size": "double", "score": "float", "note": "string"}
    job = run_job(ROWS, 3, output={"format": "parquet", "file_name": "p.parquet", "schema": schema})
    table = pq.read_table(job.output / "p.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string", "double", "float", "string"]
    assert table.column("note").null_count == 3


def test_equal_jobs__give_equal_bytes(run_job: Any) -> None:
    first = run_job(ROWS, 60, name="first")
    second = run_job(ROWS, 60, name="second")
    assert (first.output / "predictions.csv").read_bytes() == (
        second.output / "predictions.csv"
    ).read_bytes()


def test_output__that_appeared_meanwhile_is_kept_and_the_job_fails(
    run_job: Any, tmp_path: Path
) -> None:
    target = tmp_path / "job" / "out" / "predictions.csv"
    job = run_job(
        """
        import os
        def run(batch):
            target = os.environ["TARGET"]
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w") as other:
                other.write("not ours")
            return batch
        """,
        2,
        environment_variables={"TARGET": str(target)},
    )
    assert job.summary.status == "Failed"
    assert job.summary.error is not None
    assert (job.summary.error["condition"], job.summary.error["exit_code"]) == ("OUTPUT_EXISTS", 5)
    assert target.read_text() == "not ours"
    assert os.listdir(target.parent) == ["predictions.csv"]


def test_first_wave_types__without_a_common_one_become_text(run_job: Any) -> None:
    job = run_job(
        """
        import os
        def run(batch):
            number = int(os.path.basename(batch[0])[:4])
            return [{"mixed": "text" if number == 2 else number, "wide": number / (1 + number % 2)}]
        """,
        8,
        mini_batch_size=1,
        output={"format": "parquet", "file_name": "p.parquet"},
    )
    table = pq.read_table(job.output / "p.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string", "double"]
    assert table.column("mixed").to_pylist() == ["0", "1", "text", *map(str, range(3, 8))]


FILES = """
import os
folder = os.environ["AZUREML_BI_OUTPUT_PATH"]
def run(batch):
    for path in batch:
        name = os.path.basename(path)
        with open(os.path.join(folder, name + ".out"), "w") as out:
            out.write(os.environ["SPARKSCORE_ATTEMPT"])
        with open(os.path.join(folder, "log.csv"), "a") as log:
            log.write(name)
    if os.environ["SPARKSCORE_ATTEMPT"] == "1":
        raise ValueError("first attempt")
    return batch
"""


def test_summary_only__publishes_the_files_of_successful_attempts(run_job: Any) -> None:
    job = run_job(FILES, 6, output={"action": "summary_only", "file_name": ""})
    assert job.summary.status == "Completed"
    names = sorted(os.listdir(job.output))
    assert [name for name in names if name.endswith(".out")] == [
        f"{n:04d}.txt.out" for n in range(6)
    ]
    assert {(job.output / name).read_text() for name in names if name.endswith(".out")} == {"2"}
    logs = [name for name in names if name.startswith("log")]
    assert len(logs) == 3
    assert "".join(sorted((job.output / name).read_text() for name in logs)) == "".join(
        f"{n:04d}.txt" for n in range(6)
    )
    assert job.summary.retries == 3


def test_append_row__keeps_the_files_of_scripts_in_the_job_folder(run_job: Any) -> None:
    job = run_job(FILES, 4)
    assert os.listdir(job.output) == ["predictions.csv"]
    names = os.listdir(job.folder / "files")
    assert {f"{n:04d}.txt.out" for n in range(4)} <= set(names)
    assert {(job.folder / "files" / f"{n:04d}.txt.out").read_text() for n in range(4)} == {"2"}


def test_summary_only__counts_short_results(run_job: Any) -> None:
    job = run_job(
        "def run(batch):\n    return batch[:1]\n",
        4,
        output={"action": "summary_only", "file_name": ""},
    )
    assert job.summary.inputs.failed == 2
    assert job.summary.output is not None


def test_append_row__rows_of_one_file_may_be_many(run_job: Any) -> None:
    job = run_job("def run(batch):\n    return list(range(50_000))\n", 4)
    assert job.summary.rows == len(job.predictions()) == 100_000
    assert job.predictions()[50_000] == "0"


def test_scripts__see_what_the_contract_promises(run_job: Any, tmp_path: Path) -> None:
    job = run_job(
        """
        import os
        def run(batch):
            return [{key: value for key, value in os.environ.items()
                     if key.startswith(("AZUREML_", "SPARKSCORE_", "MINE"))} | {"cwd": os.getcwd()}]
        """,
        1,
        environment_variables={"MINE": "1"},
    )
    (row,) = job.rows()
    assert row["AZUREML_MODEL_DIR"] == row["SPARKSCORE_MODEL_DIR"] == str(tmp_path / "job/model")
    assert row["SPARKSCORE_JOB_NAME"] == "job"
    assert (row["SPARKSCORE_MINI_BATCH_ID"], row["SPARKSCORE_ATTEMPT"]) == ("0", "1")
    assert row["MINE"] == "1"
    assert "sparkscore-" in row["cwd"]
