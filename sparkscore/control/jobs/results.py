"""The results of a completed job as a DataFrame. Control plane; pandas and pyarrow in functions.

Text formats are read with the result schema in the job folder, so that values come back as the
script returned them. Spark is whatever session the caller hands in.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sparkscore.control.jobs.job import Job, require_ended
from sparkscore.control.jobs.json_lines import read_json_lines
from sparkscore.control.jobs.output import reading_output
from sparkscore.errors import InvalidTransitionError, StateError

if TYPE_CHECKING:
    import pandas as pd

_SCHEMA_FILE = ("plan", "result_schema.arrow")
_FIRST_COMMIT = "_delta_log/00000000000000000000.json"

_NO_VALUE = "\0sparkscore.null"
"""What Spark takes an empty place for, so that it differs from the empty text, which is quoted."""

_SPARK_TYPES = {
    "bool": "boolean",
    "int8": "tinyint",
    "int16": "smallint",
    "int32": "int",
    "int64": "bigint",
    "uint8": "smallint",
    "uint16": "int",
    "uint32": "bigint",
    "uint64": "decimal(20,0)",
    "float": "float",
    "double": "double",
    "date32[day]": "date",
    "timestamp[us, tz=UTC]": "timestamp",
    "timestamp[us]": "timestamp_ntz",
    "binary": "binary",
}
"""Spark SQL types by the names of Arrow's that a result column can have; others are strings."""


def read_results(job: Job, spark: Any) -> pd.DataFrame | Any:
    """See ``Job.results``."""
    output = _get_output(job)
    return _Results(job, output).read() if spark is None else _Results(job, output).load(spark)


def _get_output(job: Job) -> dict[str, Any]:
    require_ended(job, doing="reading its results")
    if job.status != "Completed":
        raise InvalidTransitionError(
            f"job {job.name} is {job.status} and published nothing: see its error with: sparkscore "
            f"job show -n {job.name}",
            condition="JOB_NOT_COMPLETED",
            job=job.name,
            status=job.status,
            error=job.record.error,
        )
    output: dict[str, Any] = (job.record.summary or {}).get("output") or {}
    if output.get("format") not in ("csv", "jsonl", "parquet", "delta"):
        raise StateError(
            f"job {job.name} has no rows: its script wrote files (output_action summary_only); get "
            f"them with: sparkscore job download -n {job.name}",
            condition="NO_RESULTS",
            job=job.name,
        )
    return output


class _Results:
    """Where the results of a job are, and how they were written."""

    def __init__(self, job: Job, output: dict[str, Any]) -> None:
        settings = job.record.deployment.get("settings", {})
        self._job = job
        self._path, self._format = str(output["path"]), str(output["format"])
        self._table, self._version = output.get("table"), output.get("version")
        self._has_header = bool(settings.get("output_header", True))
        self._separator = str(settings.get("output_separator", ","))
        self._options = next(iter(job.record.outputs.values()), {}).get("options") or {}

    def read(self) -> pd.DataFrame:
        """The results in memory."""
        if self._table is not None or (self._format == "delta" and self._version != 0):
            raise StateError(
                f"the results of job {self._job.name} are version {self._version} of the table "
                f"{self._table or self._path}: reading that needs a Spark session with Delta, "
                "job.results(spark)",
                condition="SESSION_NEEDED",
                job=self._job.name,
            )
        from sparkscore.storage import open_store

        filesystem, path = open_store(self._path, self._options)
        with reading_output(self._path, job_name=self._job.name):
            return _to_pandas(getattr(self, f"_read_{self._format}")(filesystem, path))

    def load(self, spark: Any) -> Any:
        """The results as a DataFrame of the caller's session."""
        reader = spark.read
        if self._table is not None:
            return reader.option("versionAsOf", self._version).table(self._table)
        if self._format == "delta":
            reader = reader.format("delta").option("versionAsOf", self._version)
            return reader.load(self._path)
        if self._format == "parquet":
            # Without it Spark 3.5 refuses days before 1582 in a file that Spark has not written.
            return reader.option("datetimeRebaseMode", "CORRECTED").parquet(self._path)
        schema = self._find_schema()
        if schema is None:
            return spark.createDataFrame(self.read())
        if self._format == "jsonl":
            return reader.schema(_render_columns(schema)).json(self._path)
        return self._load_csv(reader, schema)

    def _load_csv(self, reader: Any, schema: Any) -> Any:
        options = {"header": self._has_header, "sep": self._separator, "multiLine": True}
        texts = {"quote": '"', "escape": '"', "positiveInf": "inf", "negativeInf": "-inf"}
        if len(schema) > 1:
            texts |= {"nullValue": _NO_VALUE, "emptyValue": ""}
        is_binary = {field.name: str(field.type) == "binary" for field in schema}
        columns = _render_columns(schema, binary="string")
        frame = reader.schema(columns).options(**options, **texts).csv(self._path)
        return frame.selectExpr(
            *(
                f"unbase64({_quote(name)}) AS {_quote(name)}" if binary else _quote(name)
                for name, binary in is_binary.items()
            )
        )

    def _read_parquet(self, filesystem: Any, path: str) -> Any:
        import pyarrow.parquet as pq

        return pq.read_table(path, filesystem=filesystem)

    def _read_delta(self, filesystem: Any, path: str) -> Any:
        """The files that the first commit of a table added."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with filesystem.open(f"{path}/{_FIRST_COMMIT}", "rb") as log:
            actions = [json.loads(line) for line in log.read().splitlines() if line.strip()]
        names = [unquote(action["add"]["path"]) for action in actions if "add" in action]
        tables = [pq.read_table(f"{path}/{name}", filesystem=filesystem) for name in names]
        if not tables:
            return pa.table({})
        return pa.concat_tables(tables)

    def _read_csv(self, filesystem: Any, path: str) -> Any:
        import pyarrow as pa
        import pyarrow.csv as pacsv

        schema = self._find_schema()
        with filesystem.open(path, "rb") as file:
            if schema is None or len(self._separator.encode()) > 1:
                return self._guess_csv(file, schema)
            return _decoded(
                pacsv.read_csv(
                    file,
                    read_options=pacsv.ReadOptions(
                        column_names=schema.names, skip_rows=int(self._has_header)
                    ),
                    parse_options=pacsv.ParseOptions(
                        delimiter=self._separator, newlines_in_values=True
                    ),
                    convert_options=pacsv.ConvertOptions(
                        column_types={
                            field.name: pa.string()
                            if pa.types.is_binary(field.type)
                            else field.type
                            for field in schema
                        },
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=len(schema) == 1,
                        true_values=["True"],
                        false_values=["False"],
                    ),
                ),
                schema,
            )

    def _guess_csv(self, file: Any, schema: Any) -> Any:
        """Without the schema's help, as far as pandas can tell types."""
        import pandas as pd
        import pyarrow as pa

        header = 0 if self._has_header else None
        names = None if schema is None else schema.names
        frame = pd.read_csv(file, sep=self._separator, header=header, names=names, engine="python")
        frame.columns = frame.columns.map(str)
        return pa.Table.from_pandas(frame, preserve_index=False)

    def _read_jsonl(self, filesystem: Any, path: str) -> Any:
        import pyarrow as pa

        schema = self._find_schema()
        with filesystem.open(path, "rb") as file:
            if schema is None:
                return read_json_lines(file, None)
            read = pa.schema([(field.name, _json_type(field.type)) for field in schema])
            return _decoded(read_json_lines(file, read), schema)

    def _find_schema(self) -> Any:
        """The Arrow schema of the results, None if the job's folder is gone."""
        file = Path(self._job.record.folder, *_SCHEMA_FILE)
        if not file.is_file():
            return None
        import pyarrow as pa

        return pa.ipc.read_schema(pa.py_buffer(file.read_bytes()))


def _json_type(kind: Any) -> Any:
    """How a column stands in JSON: times and binary are strings there."""
    import pyarrow as pa

    is_text = pa.types.is_temporal(kind) or pa.types.is_binary(kind)
    return pa.string() if is_text else kind


def _decoded(table: Any, schema: Any) -> Any:
    """The table with the schema's types: base64 as bytes, texts of times as times."""
    import pyarrow as pa

    columns = []
    for field in schema:
        column = table.column(field.name)
        if pa.types.is_binary(field.type):
            values = column.to_pylist()
            column = pa.array(
                [None if text is None else base64.b64decode(text) for text in values], field.type
            )
        elif not column.type.equals(field.type):
            column = column.cast(field.type)
        columns.append(column)
    return pa.Table.from_arrays(columns, names=schema.names)


def _to_pandas(table: Any) -> pd.DataFrame:
    """As pandas has it; whole numbers stay whole numbers where some are missing."""
    import pandas as pd
    import pyarrow as pa

    frame: pd.DataFrame = table.to_pandas()
    for position, column in enumerate(table.columns):
        if pa.types.is_integer(column.type) and column.null_count:
            frame.isetitem(position, pd.array(column.to_pylist(), dtype=_nullable(column.type)))
    return frame


def _nullable(kind: Any) -> Any:
    """The pandas type of whole numbers that may be missing, such as Int64 or UInt8."""
    return str(kind).replace("int", "Int").replace("uI", "UI")


def _render_columns(schema: Any, *, binary: str = "binary") -> str:
    """The schema as Spark SQL's column list."""
    types = {**_SPARK_TYPES, "binary": binary}
    return ", ".join(
        f"{_quote(field.name)} "
        + (
            f"decimal({field.type.precision},{field.type.scale})"
            if str(field.type).startswith("decimal")
            else types.get(str(field.type), "string")
        )
        for field in schema
    )


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
