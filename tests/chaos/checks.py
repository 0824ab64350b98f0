"""What holds for every job, whatever was done to it: the two promises, looked up in its files.

A row of the output names its input in the column ``file`` (base name or planned path) and, where
an input has several rows, itself in the column ``row``, counting from 0.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sparkscore.plan.scoring_plan import read_plan

Line = Mapping[str, str]
"""A line of failed_inputs.csv."""

Row = Mapping[str, Any]

_PASSING = ("*.tmp", ".*.tmp", "*.inprogress", ".*.inprogress", "_temporary", "*.crc")


def check_job(
    folder: Path,
    *,
    inputs: Collection[str],
    failing: Mapping[str, str] | None = None,
    accepts: Callable[[Line], bool] = lambda line: False,
    status: str = "Completed",
    rows: Iterable[Row] | None = None,
    rows_per_input: int = 1,
) -> dict[str, Any]:
    """Check the whole account of an ended job in ``folder``; returns its summary.

    ``inputs`` are all planned paths. ``failing`` are those that must have failed, with their
    condition. ``accepts`` says of a line of failed_inputs.csv whether any other input may have
    failed so. ``rows`` is what was published, for a format that is not read here (Delta).
    """
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == status, summary["error"]
    assert json.loads((folder / "status.json").read_text())["status"] == status
    check_counts(summary)
    failed = check_failed_inputs(folder, inputs, failing=failing or {}, accepts=accepts)
    check_ledger(folder, summary, failed)
    if status == "Completed":
        assert summary["inputs"]["total"] == len(inputs)
        assert set(failing or {}) <= set(failed)
        published = read_output(folder) if rows is None else rows
        check_rows(folder, published, failed, inputs, rows_per_input=rows_per_input)
    else:
        assert summary["output"] is None
        assert summary["error"]["condition"]
    check_folder(folder, status)
    return summary


def check_counts(summary: Mapping[str, Any]) -> None:
    """The sums of a summary."""
    inputs = summary["inputs"]
    unprocessed = summary["unprocessed_inputs"]
    assert inputs["total"] == inputs["succeeded"] + inputs["failed"] + unprocessed
    assert min(inputs["succeeded"], inputs["failed"], unprocessed) >= 0
    assert all(seconds >= 0 for seconds in summary["seconds"].values()), summary["seconds"]
    if summary["status"] == "Completed":
        mini_batches = summary["mini_batches"]
        assert unprocessed == 0
        assert summary["error"] is None
        assert mini_batches["total"] == mini_batches["succeeded"] + mini_batches["failed"]


def check_failed_inputs(
    folder: Path,
    inputs: Collection[str],
    *,
    failing: Mapping[str, str],
    accepts: Callable[[Line], bool],
) -> dict[str, Line]:
    """Every failed input once, for a reason that it may have; returns the lines by path."""
    known = set(inputs)
    failed: dict[str, Line] = {}
    for line in read_failed_inputs(folder):
        path = line["path"]
        assert path in known, line
        assert path not in failed, line
        assert line["message"], line
        if path in failing:
            assert line["condition"] == failing[path] or accepts(line), line
        else:
            assert accepts(line), line
        failed[path] = line
    return failed


def check_ledger(folder: Path, summary: Mapping[str, Any], failed: Mapping[str, Line]) -> None:
    """The ledger has each mini-batch at most once, and says what the summary says."""
    file = folder / "ledger" / "outcomes.parquet"
    if not file.exists():
        assert summary["inputs"]["succeeded"] == summary["inputs"]["failed"] == 0
        return
    ledger = pq.read_table(file).to_pylist()
    ids = [line["mini_batch_id"] for line in ledger]
    total = summary["mini_batches"]["total"]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(range(total))
    if summary["status"] == "Completed":
        assert len(ids) == total
    per_mini_batch = Counter(int(line["mini_batch_id"]) for line in failed.values())
    for line in ledger:
        assert line["inputs"] == line["succeeded"] + line["failed"], line
        assert line["failed"] == per_mini_batch[line["mini_batch_id"]], line
        assert line["seconds"] >= 0, line
    sums = {name: sum(line[name] for line in ledger) for name in ("succeeded", "failed", "rows")}
    assert sums == {
        "succeeded": summary["inputs"]["succeeded"],
        "failed": summary["inputs"]["failed"],
        "rows": summary["rows"],
    }


def check_rows(
    folder: Path,
    rows: Iterable[Row],
    failed: Mapping[str, Line],
    inputs: Collection[str],
    *,
    rows_per_input: int,
) -> None:
    """Each row of a succeeded input once, none of a failed one; the ledger counts the same."""
    names = {os.path.basename(path): path for path in inputs} | {path: path for path in inputs}
    found = Counter((names[row["file"]], int(row.get("row", 0))) for row in rows)
    succeeded = [path for path in inputs if path not in failed]
    wanted = Counter((path, number) for path in succeeded for number in range(rows_per_input))
    assert found - wanted == Counter(), "rows that should not be there"
    assert wanted - found == Counter(), "rows that are missing"
    held = {
        mini_batch.mini_batch_id: rows_per_input * sum(path not in failed for path in paths)
        for mini_batch in read_plan(str(folder)).iter_mini_batches()
        for paths in [mini_batch.paths]
    }
    ledger = pq.read_table(
        folder / "ledger" / "outcomes.parquet", columns=["mini_batch_id", "rows"]
    )
    assert {line["mini_batch_id"]: line["rows"] for line in ledger.to_pylist()} == held


def check_folder(folder: Path, status: str) -> None:
    """Nothing that is only needed while a job runs is left in its folder or beside its output."""
    launch = read_launch(folder)
    assert not (folder / "scratch").exists()
    if status == "Completed" and not launch["keep_staging"]:
        assert not (folder / "staging").exists()
    output = Path(launch["output"]["path"])
    left = [
        file
        for place in (folder, output)
        if place.is_dir()
        for pattern in _PASSING
        for file in place.rglob(pattern)
        if not file.is_relative_to(folder / "staging")
        and "_delta_log" not in file.parts
        and not _is_checksum(file)
    ]
    assert left == []
    if status != "Completed" and launch["output"]["file_name"]:
        assert not (output / launch["output"]["file_name"]).exists()


def _is_checksum(file: Path) -> bool:
    """Whether it belongs to a file of a table that is there."""
    data = file.with_name(file.name[1:].removesuffix(".crc"))
    return file.suffix == ".crc" and data.suffix == ".parquet" and data.exists()


def read_launch(folder: Path) -> dict[str, Any]:
    """The launch message of the job in ``folder``."""
    return json.loads((folder / "launch.json").read_text())  # type: ignore[no-any-return]


def read_failed_inputs(folder: Path) -> list[dict[str, str]]:
    """The lines of failed_inputs.csv; none if the job did not get that far."""
    file = folder / "failed_inputs.csv"
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def read_output(folder: Path) -> Iterator[Row]:
    """The rows of the file that the job in ``folder`` has published."""
    output = read_launch(folder)["output"]
    file = Path(output["path"], output["file_name"])
    if output["format"] == "parquet":
        yield from pq.read_table(file).to_pylist()
    elif output["format"] == "jsonl":
        yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())
    else:
        with file.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines, delimiter=output["separator"])
