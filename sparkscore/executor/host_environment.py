"""What a script host sees of its surroundings. Python worker process.

Built from a list, never copied from the worker: Spark's secrets and settings stay out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from sparkscore.executor.devices import get_device_variables
from sparkscore.messages.launch import ScoringMessage

_INHERITED = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "JAVA_HOME",
    "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "VIRTUAL_ENV", "CONDA_PREFIX",
}  # fmt: skip
_INHERITED_PREFIXES = (
    "LC_", "CUDA_", "NVIDIA_", "AWS_", "AZURE_", "GOOGLE_", "MLFLOW_", "HF_", "XDG_",
)  # fmt: skip


def host_environment(
    scoring: ScoringMessage,
    *,
    worker: Mapping[str, str],
    input_root: str,
    output_folder: str,
    cpus: int,
    devices: tuple[str, ...] = (),
) -> dict[str, str]:
    """The environment of a script host.

    The deployment's own variables come over the inherited ones, what the engine sets over both.
    ``cpus`` is the number of CPUs of a slot: numerical libraries start that many threads.
    ``devices`` are the GPUs of the task; without any, the script sees those that the worker does.
    """
    inherited = {
        name: value
        for name, value in worker.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    threads = {"OMP_NUM_THREADS": str(cpus), "PYTHONUNBUFFERED": "1"}
    return {**inherited, **threads, **scoring.environment_variables} | {
        "AZUREML_MODEL_DIR": scoring.model_folder,
        "SPARKSCORE_MODEL_DIR": scoring.model_folder,
        "SPARKSCORE_MODEL_NAME": scoring.model_name,
        "AZUREML_BI_OUTPUT_PATH": output_folder,
        "SPARKSCORE_OUTPUT_PATH": output_folder,
        "SPARKSCORE_JOB_NAME": scoring.job_name,
        "SPARKSCORE_INPUT_ROOT": input_root,
        "SPARKSCORE_ON_BAD_ROW": scoring.on_bad_row,
        "SPARKSCORE_PASSTHROUGH_COLUMNS": _passthrough(scoring.passthrough_columns),
        **get_device_variables(devices),
    }


def _passthrough(columns: tuple[str, ...]) -> str:
    import json

    return json.dumps("all" if columns == ("*",) else list(columns))


def slot_cpus(worker: Mapping[str, str] | None = None) -> int:
    """CPUs of this worker's slot, from what Spark set for its numerical libraries."""
    value = (worker if worker is not None else os.environ).get("OMP_NUM_THREADS", "1")
    return int(value) if value.isdigit() and int(value) > 0 else 1
