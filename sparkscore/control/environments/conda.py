"""Reads what a conda file asks for. Control plane, pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkscore.errors import InvalidFieldError

SAME_ON_PYPI = frozenset({
    "altair", "beautifulsoup4", "bokeh", "boto3", "catboost", "click", "cloudpickle", "dask",
    "fastapi", "flask", "fsspec", "gensim", "h5py", "imageio", "imbalanced-learn", "jinja2",
    "joblib", "jsonschema", "keras", "lightgbm", "llvmlite", "lxml", "matplotlib", "mlflow",
    "mlflow-skinny", "networkx", "nltk", "numba", "numexpr", "numpy", "onnx", "onnxruntime",
    "openpyxl", "packaging", "pandas", "patsy", "pillow", "plotly", "polars", "prophet",
    "protobuf", "psutil", "pyarrow", "pydantic", "python-dateutil", "pytz", "pyyaml", "regex",
    "requests", "scikit-image", "scikit-learn", "scipy", "seaborn", "sentencepiece", "shap",
    "six", "skl2onnx", "skops", "spacy", "sqlalchemy", "statsmodels", "sympy", "tensorflow",
    "textblob", "threadpoolctl", "tokenizers", "tqdm", "transformers", "typing_extensions",
    "xgboost",
})  # fmt: skip
"""Conda packages that PyPI has under the same name and with the same versions."""

_TOOLS = frozenset({"pip", "setuptools", "wheel"})
_SPEC = re.compile(
    r"\s*(?:(?P<channel>[^\s:]+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)\s*(?P<rest>.*?)\s*"
)


@dataclass(frozen=True)
class CondaContent:
    """A conda file: ``python`` is its spec, ``packages`` are those that need conda itself."""

    python: str | None = None
    requirements: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


def read_conda(document: Any) -> CondaContent:
    """The content of a conda file; raises InvalidFieldError (INVALID_CONDA_FILE, key)."""
    if not isinstance(document, Mapping):
        raise _invalid("it must be a mapping with `dependencies`")
    dependencies = document.get("dependencies") or []
    if not isinstance(dependencies, list):
        raise _invalid("`dependencies` must be a list")
    python: str | None = None
    requirements: list[str] = []
    packages: list[str] = []
    for dependency in dependencies:
        if isinstance(dependency, Mapping):
            requirements += _read_pip(dependency)
            continue
        name, rest = _read_spec(dependency)
        if name == "python":
            python = rest
            continue
        requirement = f"{name}{_to_pip(rest)}"
        if name in SAME_ON_PYPI and "::" not in dependency and is_requirement(requirement):
            requirements.append(requirement)
        elif name not in _TOOLS:
            packages.append(str(dependency).strip())
    channels = document.get("channels") or []
    if not isinstance(channels, list):
        raise _invalid("`channels` must be a list")
    return CondaContent(python, tuple(requirements), tuple(packages), tuple(map(str, channels)))


def is_requirement(line: str) -> bool:
    """Whether a line asks for a package; options and bare URLs are left to uv."""
    from packaging.requirements import InvalidRequirement, Requirement

    text = re.split(r"(?:^|\s)#|\s--", line, maxsplit=1)[0].strip()
    if not text or text.startswith("-") or "://" in text.partition("@")[0]:
        return True
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _read_pip(dependency: Mapping[str, Any]) -> list[str]:
    lines = dependency.get("pip")
    if set(dependency) != {"pip"} or not isinstance(lines, list):
        raise _invalid("in `dependencies` only `pip` may be a mapping, with a list of requirements")
    return [str(line).strip() for line in lines if str(line).strip()]


def _read_spec(dependency: Any) -> tuple[str, str]:
    match = _SPEC.fullmatch(dependency) if isinstance(dependency, str) else None
    if match is None:
        raise _invalid(f"{dependency!r} is no dependency: write name=version")
    return match["name"].lower(), match["rest"]


def _to_pip(spec: str) -> str:
    """A conda version spec as pip writes it: 1.2 and =1.2 mean any 1.2.x, ==1.2 just that."""
    version = re.sub(r"(?<=[\w*])\s*=(?!=)\S+$", "", spec.strip())  # a build string
    version = re.sub(r"^(\d[\w.*]*)\s+\w\S*$", r"\1", version)  # the same after a blank
    parts = []
    for part in filter(None, (one.strip() for one in version.split(","))):
        fuzzy = re.fullmatch(r"=?\s*(\d[\w.]*?)(\.?\*)?", part)
        if fuzzy is not None:
            is_release = re.fullmatch(r"[\d.]+", fuzzy[1])
            part = f"=={fuzzy[1]}.*" if is_release else f"=={fuzzy[1]}"
        parts.append(part)
    return ",".join(parts)


def _invalid(reason: str) -> InvalidFieldError:
    return InvalidFieldError(
        f"the conda file of the environment cannot be used: {reason}",
        condition="INVALID_CONDA_FILE",
        key="conda_file",
    )
