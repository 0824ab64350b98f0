"""A resumed job that ends before it scores: its account is that of nothing scored, and whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparkscore.driver.job_folder import JobFolder
from sparkscore.driver.job_run import JobRun
from sparkscore.listing import list_inputs
from sparkscore.messages.status import InputCounts
from sparkscore.plan.scoring_plan import plan_scoring, write_plan
from tests.spark.conftest import write_launch


def test_resume__that_ends_before_it_scores_counts_all_inputs_as_unprocessed(
    tmp_path: Path,
) -> None:
    launch = write_launch(tmp_path, "def run(batch):\n    return batch\n", 10)
    folder = JobFolder(launch.job_folder)
    listing = list_inputs(launch.input.uri)
    plan = plan_scoring(
        listing.files, mini_batch_size=2, root=listing.root, transport=listing.transport, slots=1
    )
    folder.make()
    folder.write_identity(launch)
    write_plan(plan, launch.job_folder)
    for torn in (folder.ledger, folder.failed_inputs, folder.bad_rows):
        torn.write_text("what a killed driver has left")
    folder.lease.mkdir()
    (folder.lease / "000001.json").touch()
    (folder.lease / "000001.released").touch()

    def open_session() -> Any:
        raise RuntimeError("no Spark today")

    summary = JobRun(launch).run(open_session)
    assert summary.status == "Failed"
    assert (summary.inputs, summary.unprocessed_inputs) == (InputCounts(10, 0, 0), 10)
    assert not folder.ledger.exists()
    assert not folder.failed_inputs.exists()
    assert not folder.bad_rows.exists()
