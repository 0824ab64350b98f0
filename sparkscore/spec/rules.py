"""What the fields of a deployment must not say together. Any process, pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sparkscore.spec.grammar import Conflict
from sparkscore.spec.model import InlineModel
from sparkscore.spec.settings import OUTPUT_FORMATS
from sparkscore.spec.spark_conf import refused_spark_conf

if TYPE_CHECKING:
    from sparkscore.spec.deployment import DeploymentSpec


def iter_conflicts(spec: DeploymentSpec) -> Iterator[Conflict]:
    """All conflicts of a deployment whose fields are valid one by one."""
    for rule in _RULES:
        yield from rule(spec)


def _setting(name: str, message: str) -> Conflict:
    return Conflict(("settings", name), message)


def _iter_code_conflicts(spec: DeploymentSpec) -> Iterator[Conflict]:
    is_custom = isinstance(spec.model, InlineModel) and spec.model.type == "custom_model"
    if is_custom and spec.code_configuration is None:
        yield Conflict(
            ("model", "type"),
            "custom_model needs code_configuration with code and scoring_script: add it, or write "
            "mlflow_model if the folder holds an MLmodel file",
        )


def _iter_instance_conflicts(spec: DeploymentSpec) -> Iterator[Conflict]:
    if spec.resources is not None and spec.settings.instance_count is not None:
        yield _setting(
            "instance_count",
            "cannot stand beside resources: keep resources.instance_count alone",
        )


def _iter_summary_only_conflicts(spec: DeploymentSpec) -> Iterator[Conflict]:
    if spec.settings.output_action != "summary_only":
        return
    for name in ("output_file_name", "output_format", "output_table", "output_schema"):
        if getattr(spec.settings, name) is not None:
            yield _setting(
                name,
                "cannot be given with output_action: summary_only, where the script writes its "
                "own files: remove one of the two",
            )


def _iter_output_conflicts(spec: DeploymentSpec) -> Iterator[Conflict]:
    settings = spec.settings
    if settings.output_action == "summary_only":
        return
    if settings.output_table is not None:
        if settings.output_file_name is not None:
            yield _setting("output_file_name", "cannot be given with output_table: remove one")
        if settings.output_format not in (None, "delta"):
            yield _setting("output_format", "must be delta, or left out, with output_table")
        return
    name = settings.output_file_name or ""
    suffix = name.lower().rpartition(".")[2] if "." in name else ""
    if settings.output_format and suffix in OUTPUT_FORMATS and suffix != settings.output_format:
        yield _setting(
            "output_file_name",
            f"ends in .{suffix} but output_format is {settings.output_format}: rename it, or leave "
            "one of the two out",
        )


def _iter_mode_conflicts(spec: DeploymentSpec) -> Iterator[Conflict]:
    if spec.settings.output_mode is not None and spec.settings.output_table is None:
        yield _setting(
            "output_mode",
            "needs output_table: output files and folders are never appended to or overwritten",
        )


def _iter_schema_conflicts(spec: DeploymentSpec) -> Iterator[Conflict]:
    columns = spec.settings.output_schema
    if columns is None:
        return
    if not columns or "" in columns:
        yield _setting("output_schema", "must map at least one column name to a type")
    seen: dict[str, str] = {}
    for column in columns:
        other = seen.setdefault(column.lower(), column)
        if other != column:
            yield Conflict(
                ("settings", "output_schema", column),
                f"differs from column {other!r} in case only, which tables do not tell apart",
            )


def _iter_variable_conflicts(spec: DeploymentSpec) -> Iterator[Conflict]:
    for name in spec.settings.environment_variables:
        if not name or "=" in name:
            yield Conflict(
                ("settings", "environment_variables", name),
                "is no name of an environment variable: it must not be empty or hold '='",
            )


def _iter_spark_conf_conflicts(spec: DeploymentSpec) -> Iterator[Conflict]:
    for key, why in refused_spark_conf(spec.settings.spark_conf):
        yield Conflict(("settings", "spark_conf", key), f"is refused: {why}")


_RULES: tuple[Callable[[DeploymentSpec], Iterator[Conflict]], ...] = (
    _iter_code_conflicts,
    _iter_instance_conflicts,
    _iter_summary_only_conflicts,
    _iter_output_conflicts,
    _iter_mode_conflicts,
    _iter_schema_conflicts,
    _iter_variable_conflicts,
    _iter_spark_conf_conflicts,
)
