"""The scoring script of no-code deployments: files in, an MLflow model's rows out. Script host.

A scoring script like any other; ``generate-script`` writes it out to be changed, in one file with
mlflow_files and mlflow_results. It reads AZUREML_MODEL_DIR (contains the model's folder, which is
SPARKSCORE_MODEL_NAME if that is set), SPARKSCORE_INPUT_ROOT, SPARKSCORE_ON_BAD_ROW (fail, skip)
and SPARKSCORE_PASSTHROUGH_COLUMNS (JSON: a list of names, or "all"). The rules:

- A column signature decides the types. Text is parsed ('007' stays text in a string column, 1.0
  is a long); other types are cast where no value changes. Times with a zone become UTC.
- CSV needs a header and UTF-8. An unquoted empty cell is null, a quoted one ("") an empty string;
  in columns that are not strings "", NA, N/A, NaN, nan, null, NULL and None are null, too.
- Null is NaN, NaT or None for the model. A required integer or boolean cannot be null; an optional
  integer column with nulls becomes pandas' Int64 or Int32, which keeps every value exact.
- Passthrough columns have the signature's type, else the file's own. CSV has no types of its own:
  its other columns are copied as text, so that no value changes and all files agree.
- Rows count from 0 in their file; the header and blank lines are no rows.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from sparkscore.executor.mlflow_files import (
    ARROW_TYPES,
    READERS,
    Column,
    Rows,
    UnusableInputError,
    find_columns,
    fit_column,
    read_csv,
)
from sparkscore.executor.mlflow_results import compose, concatenate, iter_results

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tiff", ".bmp", ".gif")
NULLABLE_DTYPES = {
    getattr(pa, name.lower())(): pd.api.types.pandas_dtype(name)
    for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
}

logger = logging.getLogger(__name__)


class UnusableModelError(Exception):
    """There is no model that this script can score with."""


class FailedPredictionError(Exception):
    """The model raised, or did not return one result for each row."""


class Tensor(NamedTuple):
    """A tensor for the model; the first dimension of ``shape`` counts rows."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Scorer:
    """What ``init`` leaves for ``run``: the model, its signature and the settings.

    ``columns`` is None without a column signature, ``passthrough`` None for all columns.
    """

    model: Any
    columns: list[Column] | None
    tensors: list[Tensor]
    output_names: list[str]
    is_enforced_by_mlflow: bool
    input_root: str
    skips_bad_rows: bool
    passthrough: list[str] | None

    def score(self, path: str) -> tuple[Any, list[dict[str, Any]]]:
        """The results of a file, a table, and its bad rows."""
        relative = os.path.relpath(path, self.input_root) if self.input_root else "."
        file = os.path.basename(path) if relative == "." else relative.replace(os.sep, "/")
        suffix = os.path.splitext(path)[1].lower()
        try:
            if suffix in IMAGE_SUFFIXES:
                return self._score_image(path, file=file), []
            if suffix in READERS:
                return self._score_table(path, suffix, file=file)
        except (OSError, SyntaxError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
            raise UnusableInputError(f"{file}: cannot be read: {error}") from error
        supported = ", ".join([*READERS, *IMAGE_SUFFIXES])
        raise UnusableInputError(f"{file}: not a supported file type; supported are {supported}")

    def _score_image(self, path: str, *, file: str) -> Any:
        if self.columns is not None or len(self.tensors) > 1:
            text = f"{file}: an image, but the model takes {', '.join(map(repr, self._names()))}"
            raise UnusableInputError(text)
        if self.passthrough:
            raise UnusableInputError(f"{file}: an image has no columns to pass through")
        tensor = self.tensors[0] if self.tensors else None
        image = shape_image(read_image(path), tensor, file=file)
        data = {tensor.name: image} if tensor and tensor.name else image
        return compose(np.zeros(1, np.int64), self._predict(data, 1, file=file), file=file)

    def _score_table(
        self, path: str, suffix: str, *, file: str
    ) -> tuple[Any, list[dict[str, Any]]]:
        known = [] if self.tensors else self.columns
        rows = READERS[suffix](path, known, self._needed_names())
        copied = rows.names if self.passthrough is None else self.passthrough
        inputs: list[Column] = []
        if rows.names or len(rows.positions):
            inputs = find_columns(rows.names, self._find_inputs(rows, file), copied, file=file)
        source = rows.table
        if known is None and suffix == ".csv" and copied:
            source = read_csv(path, [], set(copied)).table
        for column in inputs:
            if column.type is not None:
                fit_column(rows, column, file=file)
        bad = self._check_bad_rows(rows, file=file)
        kept = ~np.isin(rows.positions, list(rows.bad))
        if bad:
            rows.table, source = rows.table.filter(kept), source.filter(kept)
        results = [(n, (source if known is None else rows.table)[n]) for n in copied if rows.names]
        if rows.table.num_rows:
            data = self._model_input(rows.table.select([c.name for c in inputs]), file=file)
            results += self._predict(data, rows.table.num_rows, file=file)
        return compose(rows.positions[kept], results, file=file), bad

    def _needed_names(self) -> set[str] | None:
        """The columns to read, None for all."""
        names = self._names()
        if self.passthrough is None or not names or not all(names):
            return None
        return {*names, *self.passthrough}

    def _names(self) -> list[str]:
        return [c.name for c in self.columns or []] + [t.name for t in self.tensors]

    def _find_inputs(self, rows: Rows, file: str) -> list[Column]:
        """The signature's columns; those without a name are matched by position."""
        columns = self.columns
        if self.tensors:
            return self._find_tensor_columns(rows)
        if columns is None or any(not c.name and c.type is None for c in columns):
            return [Column(name, "", None, False) for name in rows.names]
        if all(column.name for column in columns):
            return columns
        if len(rows.names) < len(columns):
            text = f"{file}: {len(rows.names)} columns, but the model takes {len(columns)}"
            raise UnusableInputError(text)
        return [column._replace(name=name) for column, name in zip(columns, rows.names)]

    def _find_tensor_columns(self, rows: Rows) -> list[Column]:
        """The columns that make up the tensors; lists are passed as read."""
        tensor, names = self.tensors[0], rows.names
        if tensor.name:
            pairs = [(item.name, item) for item in self.tensors]
        else:
            if len(names) != abs(int(np.prod(tensor.shape[1:]))):
                names = [name for name in names if name not in (self.passthrough or [])]
            pairs = [(name, tensor) for name in names]
        nested = {f.name for f in rows.table.schema if pa.types.is_nested(f.type)}
        return [
            Column(name, t.dtype.name, None if name in nested else arrow_type(t.dtype), True)
            for name, t in pairs
        ]

    def _check_bad_rows(self, rows: Rows, *, file: str) -> list[dict[str, Any]]:
        bad = [{"file": file, "row": row, "message": rows.bad[row]} for row in sorted(rows.bad)]
        if bad and not self.skips_bad_rows:
            where = f"{file}, row {bad[0]['row']}, {bad[0]['message']}"
            raise UnusableInputError(f"{where} (bad rows in this file: {len(bad)})")
        return bad

    def _model_input(self, table: Any, *, file: str) -> Any:
        if not self.tensors:
            is_typed = self.columns is not None
            try:
                return to_frame(table, is_typed=is_typed, may_share=self.is_enforced_by_mlflow)
            except pa.ArrowInvalid as error:  # pandas 1 has no times before 1677 or after 2262
                raise UnusableInputError(f"{file}: {error} (pandas {pd.__version__})") from error
        if not self.tensors[0].name:
            return to_tensor(table, self.tensors[0], file=file)
        return {t.name: to_tensor(table.select([t.name]), t, file=file) for t in self.tensors}

    def _predict(self, data: Any, count: int, *, file: str) -> list[tuple[str, Any]]:
        try:
            results = list(iter_results(self.model.predict(data), self.output_names))
        except Exception as error:
            text = f"{file}: predict failed: {type(error).__name__}: {error}"
            raise FailedPredictionError(text) from error
        for name, values in results:
            if len(values) != count:
                text = f"{file}: the model returned {len(values)} of {name} for {count} rows"
                raise FailedPredictionError(text)
        return results


scorer: Scorer


def init() -> None:
    """Load the model; called once in a script host."""
    global scorer
    on_bad_row = os.environ.get("SPARKSCORE_ON_BAD_ROW") or "fail"
    if on_bad_row not in ("fail", "skip"):
        raise ValueError(f"SPARKSCORE_ON_BAD_ROW is {on_bad_row!r}, it must be fail or skip")
    passthrough = json.loads(os.environ.get("SPARKSCORE_PASSTHROUGH_COLUMNS") or "[]")
    if passthrough != "all" and not isinstance(passthrough, list):
        raise ValueError('SPARKSCORE_PASSTHROUGH_COLUMNS must be a JSON list or "all"')
    name = os.environ.get("SPARKSCORE_MODEL_NAME", "")
    model = load_model(find_model(os.path.join(os.environ["AZUREML_MODEL_DIR"], name)))
    signature = model.metadata.signature
    inputs = signature.inputs.to_dict() if signature and signature.inputs else []
    outputs = signature.outputs.to_dict() if signature and signature.outputs else []
    columns = [read_column(spec) for spec in inputs if spec["type"] != "tensor"]
    types = [column.type for column in columns if column.type is not None]
    is_enforced = len(types) == len(columns) > 0
    if not inputs:
        logger.warning("the model has no signature: columns are passed to it as read, unchecked")
    if any(pa.types.is_integer(c.type) and not c.required for c in columns if c.type is not None):
        # MLflow refuses nulls in integer columns even where they are optional; we check the types.
        signature.inputs, is_enforced = None, False
    scorer = Scorer(
        model=model,
        columns=columns or None,
        tensors=[read_tensor(spec) for spec in inputs if spec["type"] == "tensor"],
        output_names=[spec["name"] for spec in outputs if spec.get("name")],
        is_enforced_by_mlflow=is_enforced,
        input_root=os.environ.get("SPARKSCORE_INPUT_ROOT", ""),
        skips_bad_rows=on_bad_row == "skip",
        passthrough=None if passthrough == "all" else passthrough,
    )


def run(mini_batch: list[str]) -> Any:
    """Score files: a table of file, row, the passthrough columns and the model's outputs.

    Its metadata has the account under ``sparkscore``: the number of inputs, and the bad rows.
    """
    scored = [scorer.score(path) for path in mini_batch]
    bad_rows = [row for _, bad in scored for row in bad]
    account = json.dumps({"inputs": len(mini_batch), "bad_rows": bad_rows})
    table = concatenate([part for part, _ in scored])
    return table.replace_schema_metadata({b"sparkscore": account.encode()})


def find_model(root: str) -> str:
    """The one folder in or below ``root`` that holds a file MLmodel, the nearest to it."""
    level = [root] if os.path.isdir(root) else []
    while level:
        found = [folder for folder in level if os.path.isfile(os.path.join(folder, "MLmodel"))]
        if len(found) > 1:
            raise UnusableModelError(f"several MLflow models: {', '.join(sorted(found))}")
        if found:
            return found[0]
        level = [entry.path for f in level for entry in os.scandir(f) if entry.is_dir()]
    raise UnusableModelError(f"no MLflow model, that is no file MLmodel, in {root}")


def load_model(folder: str) -> Any:
    """The model as mlflow.pyfunc loads it; each warning of MLflow becomes one logged line."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

    flavors = mlflow.models.Model.load(folder).flavors
    if "python_function" not in flavors:
        found = ", ".join(sorted(flavors)) or "none"
        raise UnusableModelError(f"the model has no flavour python_function; it has: {found}")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.utils.requirements_utils").addFilter(join_lines)
    return mlflow.pyfunc.load_model(os.path.realpath(folder))


def join_lines(record: logging.LogRecord) -> bool:
    """A logging filter that makes every message one line."""
    record.msg, record.args = " ".join(record.getMessage().split()), ()
    return True


def read_column(spec: dict[str, Any]) -> Column:
    """A column of the signature, as MLflow writes it."""
    label = spec["type"]
    return Column(spec.get("name") or "", label, ARROW_TYPES.get(label), spec.get("required", True))


def read_tensor(spec: dict[str, Any]) -> Tensor:
    """A tensor of the signature, as MLflow writes it."""
    tensor = spec["tensor-spec"]
    return Tensor(spec.get("name") or "", np.dtype(tensor["dtype"]), tuple(tensor["shape"]))


def arrow_type(dtype: np.dtype[Any]) -> Any:
    """The Arrow type of a tensor's elements."""
    return pa.string() if dtype.kind in "OU" else pa.from_numpy_dtype(dtype)


def read_image(path: str) -> Any:
    """The pixels of an image's first frame; a palette is resolved to its colours."""
    try:
        from PIL import Image
    except ImportError as error:
        raise UnusableModelError("images need Pillow: pip install pillow") from error
    with Image.open(path) as image:
        modes = {"P": "RGBA" if "transparency" in image.info else "RGB", "1": "L"}
        return np.array(image.convert(modes.get(image.mode, image.mode)))


def shape_image(image: Any, tensor: Tensor | None, *, file: str) -> Any:
    """The image as a batch of one, in the tensor's shape and type, else (1, H, W, C) and uint8."""
    wanted = tensor.shape if tensor else (-1, -1, -1, -1)
    shape = tuple(1 if i == 0 and n == -1 else n for i, n in enumerate(wanted))
    if shape.count(-1) > 1:
        image = image[None, ..., None] if image.ndim == len(shape) - 2 else image[None]
        shape = tuple(m if n == -1 else n for n, m in zip(shape, image.shape))
    try:
        return cast_array(image.reshape(shape), tensor.dtype if tensor else np.dtype(np.uint8))
    except ValueError as error:
        raise UnusableInputError(f"{file}: {error} (the model takes {wanted})") from error


def to_tensor(table: Any, tensor: Tensor, *, file: str) -> Any:
    """The columns side by side, in the tensor's shape and type."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy 1.23 only warns of lists that differ in length
            arrays = [
                np.array(c.to_pylist() if pa.types.is_nested(c.type) else c.to_numpy())
                for c in table.columns
            ]
        flat = np.concatenate([array.reshape(len(table), -1) for array in arrays], axis=1)
        return cast_array(flat.reshape(len(table), *tensor.shape[1:]), tensor.dtype)
    except (TypeError, ValueError, Warning) as error:
        text = f"{file}: {error} (the model takes {tensor.dtype} of shape {tensor.shape})"
        raise UnusableInputError(text) from error


def cast_array(array: Any, dtype: np.dtype[Any]) -> Any:
    """The array as ``dtype``; integers must stay what they are."""
    with np.errstate(invalid="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "iub" and not np.array_equal(cast, array):
        raise ValueError(f"values of type {array.dtype} do not fit {dtype}")
    return cast


def to_frame(table: Any, *, is_typed: bool, may_share: bool) -> pd.DataFrame:
    """The table for the model, integers with nulls exact: Int64 if typed or too big for a float.

    ``may_share`` leaves memory shared with Arrow and read-only: for MLflow, which copies it.
    """
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, split_blocks=may_share)
    for index, column in enumerate(table.columns):
        is_nullable = pa.types.is_integer(column.type) and column.null_count
        if is_nullable and (is_typed or not is_exact_as_float(column)):
            frame.isetitem(index, column.to_pandas(types_mapper=NULLABLE_DTYPES.get))
    return frame


def is_exact_as_float(column: Any) -> bool:
    """Whether a double holds each of the integers."""
    try:
        column.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
