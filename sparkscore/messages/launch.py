"""The launch message: everything a Spark driver needs to run one scoring job. Any process.

Written once by the control plane as ``launch.json``, read by ``sparkscore.driver.main``. All paths
are absolute but those of code and model in a compiled folder, which are relative to that folder; a
path is a local path or an fsspec URI.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sparkscore.messages.codec import nested

LAUNCH_FILE = "launch.json"
"""Name of the launch message in its folder."""

CANCEL_FILE = "cancel"
"""Name of the file in a staged job's folder by which the control plane asks drivers to stop."""

ARCHIVE_PREFIX = "environment-"
"""What the name of an environment's archive begins with, in a job folder."""

STOP_WITH_PARENT = "SPARKSCORE_STOP_WITH_PARENT"
"""Variable that is 1 for a driver that has to end when the process that started it has ended."""

ACTIONS = ("append_row", "summary_only")
FORMATS = ("csv", "jsonl", "parquet", "delta")
ISOLATIONS = ("process", "inline")


@dataclass(frozen=True)
class InputMessage:
    """What to list: a file, a folder or a URI; ``limit`` keeps the first files by path.

    ``options`` are those of the URI's store, never secrets. ``include`` and ``exclude`` are
    patterns of relative paths; without ``include`` all files are meant. With ``list_file``, the
    name of a file in the job folder (see ``messages.input_list``), exactly the inputs that it names
    are meant, and ``uri`` is the folder that their paths are relative to.
    """

    uri: str
    limit: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    list_file: str | None = None

    def find_problem(self) -> str | None:
        """What no control plane writes."""
        name = self.list_file
        if name is None or (name.isprintable() and "/" not in name and name not in ("", ".", "..")):
            return None
        return f"has list_file {name!r}, which is no file of a job folder"


@dataclass(frozen=True)
class OutputMessage:
    """Where results go and in which form.

    ``path`` is the output folder. ``format`` is csv, jsonl, parquet or delta; ``action`` is
    append_row or summary_only. ``file_name`` is empty for a Delta table that is ``path`` itself.
    ``table`` and ``mode`` (append, overwrite) name a catalog table instead of a path.
    ``schema`` maps column to Spark SQL type name and pins the result's columns. ``options`` are
    those of the store of ``path``, never secrets.
    """

    path: str
    action: str
    format: str
    file_name: str = ""
    table: str | None = None
    mode: str | None = None
    schema: dict[str, str] | None = None
    header: bool = True
    separator: str = ","
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MirrorMessage:
    """Where a copy of the job folder is kept: a URI with the options of its store."""

    uri: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EnvironmentMessage:
    """The Python that script hosts run in, if it is not the workers' own.

    Without ``archive`` ``python`` is an absolute path on each worker. ``archive`` is a path, or the
    name of a file beside a staged message, and ``python`` a path in it. ``digest`` identifies the
    environment.
    """

    digest: str
    python: str
    archive: str | None = None

    def find_problem(self) -> str | None:
        """What no control plane writes."""
        is_absolute = self.python.startswith("/")
        if ".." in self.python.split("/") or not (is_absolute or self.archive):
            return f"has python {self.python!r}"
        return None


@dataclass(frozen=True)
class ScoringMessage:
    """What a worker needs to score mini-batches; travels to executors.

    ``digest`` identifies model, code and settings: workers cache script hosts by it.
    ``model_folder`` is the folder that contains the model's file or folder (AZUREML_MODEL_DIR),
    ``model_name`` that file's or folder's name. ``scoring_script`` is a file in ``code_folder``;
    without ``code_folder`` the built-in MLflow script scores. ``isolation`` is process or inline,
    ``on_bad_row`` fail or skip. ``memory_limit_bytes`` bounds a script host, 0 is no limit.
    ``environment`` is the Python of script hosts, None for that of the workers.
    """

    job_name: str
    digest: str
    model_folder: str
    model_name: str
    code_folder: str | None
    scoring_script: str | None
    mini_batch_size: int
    max_retries: int
    timeout_seconds: int
    init_timeout_seconds: int
    error_threshold: int
    mini_batch_error_threshold: int
    isolation: str
    isolate_failures: bool
    logging_level: str
    on_bad_row: str
    passthrough_columns: tuple[str, ...]
    output_action: str
    environment_variables: dict[str, str]
    memory_limit_bytes: int = 0
    environment: EnvironmentMessage | None = field(
        default=None, metadata={"message": EnvironmentMessage}
    )


@dataclass(frozen=True)
class LaunchMessage:
    """One scoring job. ``settings`` and ``warnings`` are for the record only.

    ``instance_count`` and ``max_concurrency_per_instance`` are None where the deployment does not
    give them, ``gpus_per_instance`` is 0 there. ``master`` is Spark's master URL, None for local
    mode. ``staged``: the driver makes the job folder itself, from the folder with this message, and
    keeps the copy there; paths of the control plane's machine mean nothing to it. With ``relay``
    workers share no folder with the driver: model and code go to them, and results come back,
    through Spark. ``run`` counts the runs of a job on a platform, from 0: a resume makes the next.
    """

    job_name: str
    job_folder: str
    created_at: str
    input: InputMessage = nested(InputMessage)
    output: OutputMessage = nested(OutputMessage)
    scoring: ScoringMessage = nested(ScoringMessage)
    instance_count: int | None = None
    max_concurrency_per_instance: int | None = None
    gpus_per_instance: int = 0
    master: str | None = None
    spark_conf: dict[str, str] = field(default_factory=dict)
    checkpoint_interval_seconds: int = 600
    keep_staging: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    mirror: MirrorMessage | None = field(default=None, metadata={"message": MirrorMessage})
    relay: bool = False
    staged: bool = False
    run: int = 0

    def find_problem(self) -> str | None:
        """What no control plane writes, though each field by itself has the right type."""
        scoring = self.scoring
        for name, value, known in (
            ("output.action", self.output.action, ACTIONS),
            ("output.format", self.output.format, FORMATS),
            ("scoring.isolation", scoring.isolation, ISOLATIONS),
        ):
            if value not in known:
                return f"has {name} {value!r}, not one of {', '.join(known)}"
        paths = (self.job_folder, self.input.uri, self.output.path, scoring.model_folder)
        for path in (*paths, scoring.code_folder or ""):
            if "\0" in path:
                return f"has {path!r} where a path must be"
        counts = (scoring.mini_batch_size, scoring.timeout_seconds, scoring.init_timeout_seconds)
        return None if min(counts) >= 1 else "has a size or a time limit below 1"


@dataclass(frozen=True)
class CancelMessage:
    """The content of the file ``cancel``: drivers of the ``run``-th run and earlier ones stop."""

    run: int
