"""The logs of a job, which follow while it runs. Control plane."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.control import Job
from sparkscore.control.jobs.log_files import (
    PIECE_BYTES,
    LogPiece,
    list_log_files,
    read_log,
    read_mini_batch_lines,
)
from sparkscore.errors import SparkscoreError
from sparkscore.rest.context import Served
from sparkscore.studio.forms import FormOf
from sparkscore.studio.job_tabs import LOGS, render_job
from sparkscore.studio.log_lines import name_log, split_lines
from sparkscore.studio.pages import render_page

router = APIRouter()

MOST_SHOWN_BYTES = 1024**2
"""What a page that follows holds at most; then it begins anew with the end of the log."""


@router.get("/jobs/{job}/logs")
def show_logs(job: str, request: Request, workspace: Served, form: FormOf) -> Response:
    """One log, its end or from an offset; or what was said of one mini-batch."""
    found = workspace.jobs.get(job)
    values: dict[str, Any] = {
        "paths": [],
        "file": None,
        "piece": None,
        "lines": (),
        "has_more": False,
        "follows": False,
        "at_end": False,
        "mini_batch": None,
    }
    try:
        values["paths"] = list_log_files(found)
        if form.find("mini_batch") is None:
            values |= _read(found, values["paths"], form.get("file"), form.get("from"))
        else:
            values |= _read_mini_batch(found, form.get("mini_batch"))
    except SparkscoreError as error:
        form.take(error, {"MINI_BATCH_NOT_FOUND": "mini_batch"})
    except ValueError:
        form.refuse("mini_batch", f"{form.get('mini_batch')} is no mini-batch: give its number.")
    names = [(path, name_log(path)) for path in values["paths"]]
    status = 422 if form.errors else 200
    return render_job(
        request,
        "job_logs.html",
        found,
        tab=LOGS,
        status=status,
        form=form,
        names=names,
        shown=PIECE_BYTES,
        **values,
    )


@router.get("/jobs/{job}/logs/more")
def read_more(
    job: str, request: Request, workspace: Served, file: str, start: int, shown: int = 0
) -> Response:
    """The lines after ``start``, and what asks for the next ones.

    A page that has become too long, or too late, gets the end of the log in place of all it has.
    """
    found = workspace.jobs.get(job)
    piece = read_log(found, file, start=start)
    is_anew = piece.size - start > PIECE_BYTES or shown > MOST_SHOWN_BYTES or piece.size < start
    if is_anew:
        piece = read_log(found, file)
    response = render_page(
        request,
        "job_log_lines.html",
        job=found,
        file=file,
        piece=piece,
        lines=split_lines(piece.text),
        follows=not found.is_ended or piece.end < piece.size,
        shown=(0 if is_anew else shown) + piece.end - piece.start,
        polls=not found.is_ended,
    )
    if is_anew:
        response.headers["HX-Retarget"] = "#log"
        response.headers["HX-Reswap"] = "innerHTML"
    return response


def _read(job: Job, paths: list[str], wanted: str, start: str) -> dict[str, Any]:
    if not paths and not wanted:
        return {}
    path = wanted or paths[0]
    is_start = start.isdecimal()
    piece: LogPiece = read_log(job, path, start=int(start) if is_start else None)
    return {
        "file": path,
        "piece": piece,
        "lines": split_lines(piece.text),
        "follows": not job.is_ended and not is_start,
        "at_end": not is_start,
    }


def _read_mini_batch(job: Job, text: str) -> dict[str, Any]:
    """Raises ValueError for what is no number."""
    number = int(text)
    lines, has_more = read_mini_batch_lines(job, number)
    shown = split_lines("\n".join(lines))
    return {"mini_batch": number, "lines": shown, "has_more": has_more}
