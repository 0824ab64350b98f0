"""How a deployment scores: ``settings``, or the root in the flat layout. Any process."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sparkscore.spec.types import (
    Allowed,
    Columns,
    Count,
    FileName,
    LoggingLevel,
    MemoryBytes,
    RetryCount,
    Seconds,
    Separator,
    Spec,
    SqlType,
    StringMap,
    Switch,
    TableName,
    Threshold,
)

OutputFormat = Literal["csv", "jsonl", "parquet", "delta"]
OUTPUT_FORMATS: tuple[OutputFormat, ...] = ("csv", "jsonl", "parquet", "delta")

_AllColumns = Annotated[Literal["all"], Allowed("all, or a list of column names")]


def _columns_tag(value: Any) -> str:
    return "list" if isinstance(value, (list, tuple)) else "all"


PassthroughColumns = Annotated[
    Annotated[_AllColumns, Tag("all")] | Annotated[Columns, Tag("list")],
    Discriminator(_columns_tag),
]


class RetrySettings(Spec):
    """What happens to a mini-batch that fails."""

    max_retries: RetryCount = Field(
        default=3,
        description="Number of further attempts for a mini-batch whose run() failed or timed out.",
    )
    timeout: Seconds = Field(
        default=30,
        description="Seconds that one run() call may take before its script host is killed.",
    )


class SettingsSpec(Spec):
    """Settings of a model deployment."""

    instance_count: Count | None = Field(
        default=None,
        description="Number of instances (Spark executors) per job; write it here or in "
        "`resources`, not both. 1 if not given; all cores if max_concurrency_per_instance "
        "is not given either.",
    )
    max_concurrency_per_instance: Count | None = Field(
        default=None,
        description="Number of mini-batches scored at the same time on one instance. 1 if not "
        "given; all cores if instance_count is not given either.",
    )
    mini_batch_size: Count = Field(
        default=10, description="Number of files that one run() call gets, at most."
    )
    output_action: Annotated[
        Literal["append_row", "summary_only"], Allowed("append_row or summary_only")
    ] = Field(
        default="append_row",
        description="append_row gathers what run() returns into one output; summary_only keeps "
        "just the files that the script itself writes.",
    )
    output_file_name: FileName | None = Field(
        default=None,
        description="Name of the one output file of append_row, without folder. predictions.csv "
        "if not given, or predictions.<output_format>; none for delta.",
    )
    retry_settings: RetrySettings = Field(
        default_factory=RetrySettings, description="Retries and timeout of a mini-batch."
    )
    error_threshold: Threshold = Field(
        default=-1,
        description="Number of failed inputs, over the whole job, that is tolerated; one more "
        "ends the job. -1 is any number, 0 tolerates none.",
    )
    logging_level: LoggingLevel = Field(
        default="info",
        description="Least severe level of log lines kept: warning, info or debug, in any case.",
    )
    environment_variables: StringMap = Field(
        default_factory=dict,
        description="Environment variables of the scoring script, name to value. Unquoted numbers "
        "and booleans are passed as written.",
    )
    output_format: Annotated[OutputFormat, Allowed("csv, jsonl, parquet or delta")] | None = Field(
        default=None,
        description="Format of the output: csv, jsonl, parquet or delta. The suffix of "
        "output_file_name decides if not given, csv otherwise.",
    )
    output_table: TableName | None = Field(
        default=None,
        description="Catalog table ([catalog.][schema.]table, Delta) to write instead of a file.",
    )
    output_mode: (
        Annotated[Literal["append", "overwrite"], Allowed("append or overwrite")] | None
    ) = Field(
        default=None,
        description="What happens to rows that output_table holds already: append keeps them, "
        "overwrite replaces them. Without it the table must not exist.",
    )
    output_schema: dict[str, SqlType] | None = Field(
        default=None,
        description="Columns of the output in order, name to Spark SQL type. Taken from the "
        "model's signature or the first results if not given.",
    )
    output_header: Switch = Field(
        default=True, description="Whether a CSV output starts with a line of column names."
    )
    output_separator: Separator = Field(
        default=",", description="The one character between two values of a CSV output."
    )
    isolation: Annotated[Literal["process", "inline"], Allowed("process or inline")] = Field(
        default="process",
        description="process runs the script in a process of its own that can be killed; inline "
        "runs it in the Spark worker.",
    )
    isolate_failures: Switch = Field(
        default=True,
        description="Whether a mini-batch that used up its retries is bisected, so that only the "
        "inputs which fail on their own count as failed.",
    )
    checkpoint_interval: Seconds = Field(
        default=600,
        description="Seconds of work that a job may lose when it is interrupted: the aim for the "
        "length of a wave.",
    )
    init_timeout: Seconds = Field(
        default=600, description="Seconds that init() may take before it counts as failed."
    )
    mini_batch_error_threshold: Threshold = Field(
        default=-1,
        description="Number of failed mini-batches, over the whole job, that is tolerated; one "
        "more ends the job. -1 is any number, 0 tolerates none.",
    )
    memory_limit: MemoryBytes | None = Field(
        default=None,
        description="Bytes of memory that one script host may use, or a size such as 512m or 2g "
        "(k, m, g, t are powers of 1024). No limit if not given.",
    )
    on_bad_row: Annotated[Literal["fail", "skip"], Allowed("fail or skip")] = Field(
        default="fail",
        description="What a row that does not fit the model's signature does: fail its file, or "
        "be skipped and listed.",
    )
    passthrough_columns: PassthroughColumns = Field(
        default=(),
        description="Input columns that stand beside the predictions: a list of names, or all.",
    )
    keep_staging: Switch = Field(
        default=False,
        description="Whether staged results stay in the job folder after a verified publish.",
    )
    spark_conf: StringMap = Field(
        default_factory=dict,
        description="Spark properties of the session, key to value. Keys that would break the "
        "account of inputs are refused.",
    )
