"""The mini-batches of jobs below ``/api/v1``, while they run and after. Control plane."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from sparkscore.rest.context import Served
from sparkscore.rest.v1.bodies import READS, PagingOf, show

router = APIRouter(tags=["v1: jobs"])

_STATE_TEXT = "Only those that are pending, running, succeeded, retried or failed; may be repeated."


@router.get("/jobs/{job}/mini-batches", dependencies=READS)
def list_mini_batches(
    job: str,
    workspace: Served,
    paging: PagingOf,
    state: Annotated[list[str] | None, Query(description=_STATE_TEXT)] = None,
) -> dict[str, Any]:
    """List the mini-batches of a job by id; ``counts`` says how many are in which state."""
    found = workspace.jobs.get(job).mini_batches()

    def read(skip: int, limit: int) -> list[Any]:
        return found.select(states=state or (), skip=skip, limit=limit)

    return {**paging.cut_lazily(read, show), "counts": found.counts}


@router.get("/jobs/{job}/mini-batches/{mini_batch}", dependencies=READS)
def get_mini_batch(job: str, mini_batch: int, workspace: Served) -> dict[str, Any]:
    """Show a mini-batch with all that is known of it: its error once the job has ended."""
    return show(workspace.jobs.get(job).mini_batches().get(mini_batch))
