"""What the Overview tab of a job shows, put together for its template. Control plane."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from sparkscore.control.jobs.job import Job
from sparkscore.control.jobs.mini_batches import (
    FAILED,
    PENDING,
    RETRIED,
    RUNNING,
    STATES,
    SUCCEEDED,
    Cell,
    MiniBatch,
    MiniBatchDetails,
    MiniBatches,
)
from sparkscore.errors import SparkscoreError
from sparkscore.studio.charts import (
    Bar,
    Chart,
    Lanes,
    draw_durations,
    draw_parts,
    draw_phases,
    draw_throughput,
    draw_timeline,
)
from sparkscore.studio.pages import NOTHING, render_count

MOST_CELLS = 240
PAGE_SIZE = 50

_WORDS = {
    SUCCEEDED: "done",
    RETRIED: "done after a retry",
    FAILED: "with failures",
    RUNNING: "in flight",
    PENDING: "waiting",
}
_WORDS_AT_THE_END = {**_WORDS, PENDING: "not scored"}
_ID = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class Counts:
    """Inputs by what became of them; all None before they are listed."""

    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    unprocessed: int | None = None
    rows: int | None = None
    rate: float | None = None
    eta_seconds: float | None = None

    @property
    def rate_text(self) -> str:
        """Inputs per second for people."""
        if self.rate is None:
            return NOTHING
        return render_count(self.rate) if self.rate >= 10 else f"{self.rate:.1f}"

    @property
    def share(self) -> float:
        """The part of the inputs that is processed, 0 to 1."""
        if not self.total:
            return 0.0
        return ((self.succeeded or 0) + (self.failed or 0)) / self.total


@dataclass(frozen=True)
class Selection:
    """Which mini-batches the page shows: those of a cell or in a state, and one with all details.

    ``skip`` leaves out so many of the list.
    """

    cell: int | None = None
    state: str | None = None
    mini_batch: int | None = None
    skip: int = 0

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Selection:
        """What an address asks for; anything that cannot be is nothing."""

        def read(name: str) -> int | None:
            text = query.get(name, "")
            return int(text) if _ID.fullmatch(text) else None

        state = query.get("state")
        return cls(
            read("cell"),
            state if state in STATES else None,
            read("mini_batch"),
            read("skip") or 0,
        )

    @classmethod
    def of_url(cls, url: str | None) -> Selection:
        """What the address of the page asks for."""
        try:
            query = parse_qs(urlsplit(url or "").query)
        except ValueError:
            return cls()
        return cls.of({name: values[-1] for name, values in query.items()})

    def link(self, **changes: Any) -> str:
        """The address with this selection, changed, within the page."""
        values = {**vars(self), **changes}
        shown = {name: value for name, value in values.items() if value is not None}
        if not shown["skip"]:
            del shown["skip"]
        return f"?{urlencode(shown)}"


@dataclass(frozen=True)
class Overview:
    """The numbers and drawings of a job; ``problem`` says why there are no mini-batches."""

    job: Job
    counts: Counts
    mini_batches: MiniBatches | None
    problem: SparkscoreError | None = None
    jobs_ahead: int = 0
    selection: Selection = field(default_factory=Selection)

    @cached_property
    def elapsed_seconds(self) -> float | None:
        """From the job's start to its end or now."""
        started_at = self.job.record.started_at
        if started_at is None:
            return None
        return max(0.0, (self.job.record.ended_at or time.time()) - started_at)

    @property
    def wait(self) -> str:
        """What a job does that has not listed its inputs yet."""
        run, status = self.job.platform_run, self.job.status
        if status in ("NotStarted", "Queued"):
            return "Waits for its launcher."
        if run is not None and status == "Preparing":
            return "The environment is made, and the job's files are copied to its staging folder."
        if run is not None and status == "Provisioning":
            return f"{str(run['platform']).capitalize()} has taken the run, and gets machines."
        return "Spark starts and the inputs are being listed."

    @cached_property
    def progress(self) -> tuple[Bar, ...]:
        """The inputs as one bar."""
        counts = self.counts
        parts = [
            (SUCCEEDED, counts.succeeded or 0, "succeeded"),
            (FAILED, counts.failed or 0, "failed"),
            (PENDING, counts.unprocessed or 0, "unprocessed"),
        ]
        return draw_parts(
            (kind, count, f"{render_count(count)} {name}") for kind, count, name in parts
        )

    @cached_property
    def cells(self) -> list[Cell]:
        """The heat strip."""
        return [] if self.mini_batches is None else self.mini_batches.cells(MOST_CELLS)

    @cached_property
    def legend(self) -> list[tuple[str, str, int]]:
        """Each state with its words and how many mini-batches are in it."""
        if self.mini_batches is None:
            return []
        counts, words = self.mini_batches.counts, get_words(self.job)
        return [(state, words[state], counts[state]) for state in words]

    def describe(self, cell: Cell) -> str:
        """A cell in words."""
        parts = [
            f"{render_count(cell.counts[state])} {words}"
            for state, words, _ in self.legend
            if cell.counts[state]
        ]
        return f"{render_range(cell.first, cell.stop)}: {', '.join(parts)}"

    def is_chosen(self, number: int) -> bool:
        """Whether a cell holds what the page shows below."""
        if self.selection.cell is not None or self.selection.mini_batch is None:
            return self.selection.cell == number
        return self.cells[number].first <= self.selection.mini_batch < self.cells[number].stop

    @cached_property
    def throughput(self) -> Chart | None:
        """Inputs per second over time."""
        found = self.mini_batches and self.mini_batches.measure_throughput()
        return draw_throughput(found) if found else None

    @cached_property
    def durations(self) -> Chart | None:
        """How long mini-batches took."""
        found = self.mini_batches and self.mini_batches.measure_durations()
        return draw_durations(found) if found else None

    @cached_property
    def timeline(self) -> Lanes | None:
        """What ran when on which slot."""
        return draw_timeline(self.mini_batches.draw_timeline()) if self.mini_batches else None

    @cached_property
    def phases(self) -> tuple[Bar, ...]:
        """How long each phase took, once known."""
        summary = self.job.summary
        return () if summary is None else draw_phases(summary.seconds)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What the job's end warns of."""
        return () if self.job.summary is None else self.job.summary.warnings

    @cached_property
    def listed(self) -> Listed | None:
        """The list of mini-batches that was asked for."""
        if self.mini_batches is None or self.selection == Selection(skip=self.selection.skip):
            return None
        return list_mini_batches(self.mini_batches, self.cells, self.selection)


@dataclass(frozen=True)
class Listed:
    """Some mini-batches; ``count`` is how many there are, ``details`` are those of one."""

    title: str
    rows: list[MiniBatch]
    count: int
    selection: Selection
    details: MiniBatchDetails | None = None
    problem: SparkscoreError | None = None

    @property
    def previous_page(self) -> str | None:
        """The page before this one."""
        if self.selection.skip == 0:
            return None
        return self.selection.link(skip=max(0, self.selection.skip - PAGE_SIZE), mini_batch=None)

    @property
    def next_page(self) -> str | None:
        """The page after this one."""
        following = self.selection.skip + PAGE_SIZE
        return (
            self.selection.link(skip=following, mini_batch=None) if following < self.count else None
        )


def make_overview(job: Job, selection: Selection, *, jobs_ahead: int = 0) -> Overview:
    """What can be seen of the job now; files that are gone are told of in ``problem``."""
    mini_batches, problem = None, None
    try:
        mini_batches = job.mini_batches()
    except SparkscoreError as error:
        problem = error
    return Overview(job, _count(job), mini_batches, problem, jobs_ahead, selection)


def _count(job: Job) -> Counts:
    summary, progress = job.summary, job.progress
    if summary is not None:
        scored = summary.seconds.get("score") or 0.0
        done = summary.inputs.succeeded + summary.inputs.failed
        return Counts(
            total=summary.inputs.total,
            succeeded=summary.inputs.succeeded,
            failed=summary.inputs.failed,
            unprocessed=summary.unprocessed_inputs,
            rows=summary.rows,
            rate=done / scored if scored else None,
        )
    if progress is None or not progress.inputs:
        return Counts()
    done = progress.inputs_succeeded + progress.inputs_failed
    return Counts(
        total=progress.inputs,
        succeeded=progress.inputs_succeeded,
        failed=progress.inputs_failed,
        unprocessed=progress.inputs - done,
        rows=progress.rows,
        rate=progress.inputs_per_second or None,
        eta_seconds=progress.eta_seconds,
    )


def list_mini_batches(found: MiniBatches, cells: list[Cell], selection: Selection) -> Listed:
    """What the panel below the heat strip shows."""
    first, stop, title = 0, found.count, "Mini-batches"
    if selection.cell is not None:
        chosen = cells[selection.cell : selection.cell + 1]
        first, stop = (chosen[0].first, chosen[0].stop) if chosen else (0, 0)
        title = f"Mini-batches {render_range(first, stop)}"
    elif selection.mini_batch is not None and selection.state is None:
        first, stop = selection.mini_batch, selection.mini_batch + 1
        title = f"Mini-batch {first}"
    states = [] if selection.state is None else [selection.state]
    if states:
        title = f"{title}: {get_words(found.job)[states[0]]}"
    matching = found.count_matching(states=states, first=first, stop=stop)
    rows = found.select(states=states, first=first, stop=stop, skip=selection.skip, limit=PAGE_SIZE)
    details, problem = None, None
    if selection.mini_batch is not None:
        try:
            details = found.get(selection.mini_batch)
        except SparkscoreError as error:
            problem = error
    return Listed(title, rows, matching, selection, details, problem)


def render_range(first: int, stop: int) -> str:
    """Ids from ``first`` up to, not including, ``stop``, for people."""
    if stop <= first:
        return "(none)"
    return (
        render_count(first)
        if stop == first + 1
        else (f"{render_count(first)}\N{EN DASH}{render_count(stop - 1)}")
    )


def get_words(job: Job) -> dict[str, str]:
    """How people call the states of mini-batches."""
    return _WORDS_AT_THE_END if job.is_ended else _WORDS


def find_level(cell: Cell) -> int:
    """How much of a cell is finished, or failed if any of it did: 0 nothing to 4 all."""
    part, whole = cell.finished, cell.stop - cell.first
    if cell.state == FAILED:
        part, whole = cell.counts[FAILED], cell.finished
    return 4 if part == whole else min(3, -(-4 * part // whole))
