"""A deployment file with everything it refers to, checked. Control plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sparkscore.control.environments.documents import describe_environment
from sparkscore.control.model import LocalModel, Model, find_model, has_signature, refuse_asset
from sparkscore.control.options import RunOptions
from sparkscore.control.scoring_script import check_scoring_script
from sparkscore.errors import InvalidFieldError, NotFoundError, UnresolvedReferenceError
from sparkscore.listing.location import find_local_path
from sparkscore.spec import EnvironmentSpec, load_deployment, refused_spark_conf

if TYPE_CHECKING:
    from sparkscore.control.environments.job import JobEnvironment
    from sparkscore.spec import DeploymentSpec, LoadedDeployment


@dataclass(frozen=True)
class PreparedDeployment:
    """A valid deployment whose script and model are there.

    ``code_folder`` is None for an MLflow model without a script. ``spark_conf`` is the
    deployment's with ``--conf`` over it. ``environment`` is what was written of it, None if
    nothing; ``settle_environment`` makes it the one of a job.
    """

    spec: DeploymentSpec
    model: Model
    code_folder: Path | None
    scoring_script: str | None
    spark_conf: dict[str, str]
    warnings: tuple[str, ...]
    environment: Mapping[str, Any] | None = None
    job_environment: JobEnvironment | None = None


class References(Protocol):
    """Finds what ``azureml:`` references of a deployment name."""

    def find_model(self, reference: str, *, has_script: bool) -> Model:
        """The registered model; raises UnresolvedReferenceError or NotFoundError."""

    def find_code(self, reference: str) -> Path:
        """The folder of registered code; raises UnresolvedReferenceError or NotFoundError."""

    def find_environment(self, reference: str) -> Mapping[str, Any]:
        """The document of a registered environment; raises what ``find_code`` does."""


class NoReferences:
    """The references of a run without a workspace: none."""

    def find_model(self, reference: str, *, has_script: bool) -> Model:
        del has_script
        raise refuse_asset(reference, what="model")

    def find_code(self, reference: str) -> Path:
        raise refuse_asset(reference, what="code")

    def find_environment(self, reference: str) -> Mapping[str, Any]:
        raise refuse_asset(reference, what="environment")


def prepare_deployment(options: RunOptions) -> PreparedDeployment:
    """Load and check the deployment of ``options``.

    Raises SpecError for what its file or the flags say, UnresolvedReferenceError for a model,
    code folder or script that is not there or not usable.
    """
    flags = {
        "mini_batch_size": options.mini_batch_size,
        "instance_count": options.instance_count,
    }
    loaded = load_deployment(options.file, overrides=options.overrides, flags=flags)
    return prepare_loaded(loaded, conf=options.conf, references=NoReferences())


def prepare_loaded(
    loaded: LoadedDeployment, *, conf: Sequence[str] = (), references: References
) -> PreparedDeployment:
    """Check what a loaded deployment refers to; ``conf`` holds ``spark.x=y`` texts.

    Raises SpecError, or UnresolvedReferenceError with the place where the reference stands.
    """
    spec = loaded.spec
    spark_conf = {**spec.settings.spark_conf, **read_conf(conf)}
    with placing(loaded, "code_configuration"):
        code_folder, scoring_script = _find_code(loaded, references)
    with placing(loaded, "model"):
        model = _find_model(loaded, references)
        model.check(has_script=scoring_script is not None)
    with placing(loaded, "environment"):
        environment, notes = _find_environment(loaded, references, model=model)
    return PreparedDeployment(
        spec=spec,
        model=model,
        code_folder=code_folder,
        scoring_script=scoring_script,
        spark_conf=spark_conf,
        warnings=(*notes, *_warnings(model=model, has_script=scoring_script is not None)),
        environment=environment,
    )


def read_conf(settings: Sequence[str]) -> dict[str, str]:
    """``spark.x=y`` texts as a mapping; raises InvalidFieldError for what is none, or refused."""
    conf: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InvalidFieldError(
                f"--conf {setting}: write spark.NAME=VALUE", condition="INVALID_CONF", conf=setting
            )
        conf[name.strip()] = value
    for name, reason in refused_spark_conf(conf):
        raise InvalidFieldError(
            f"--conf {name} is refused: {reason}", condition="REFUSED_CONF", conf=name
        )
    return conf


def find_code_folder(loaded: LoadedDeployment, references: References) -> Path | None:
    """The folder with the deployment's code, None if it has none."""
    configuration = loaded.spec.code_configuration
    if configuration is None:
        return None
    if is_registered(configuration.code):
        return references.find_code(configuration.code)
    return _resolve(loaded, configuration.code)


def is_registered(reference: str) -> bool:
    """Whether a model or code is named by a registered asset."""
    return reference.startswith("azureml:")


def _find_code(loaded: LoadedDeployment, references: References) -> tuple[Path | None, str | None]:
    """Folder and script; registered code was checked when it was registered."""
    configuration = loaded.spec.code_configuration
    folder = find_code_folder(loaded, references)
    if configuration is None or folder is None:
        return None, None
    if not is_registered(configuration.code):
        check_scoring_script(folder, scoring_script=configuration.scoring_script)
    return folder, configuration.scoring_script


def _find_model(loaded: LoadedDeployment, references: References) -> Model:
    model = loaded.spec.model
    reference = model if isinstance(model, str) else model.path
    has_script = loaded.spec.code_configuration is not None
    if is_registered(reference):
        return references.find_model(reference, has_script=has_script)
    return find_model(reference, resolve=lambda path: _resolve(loaded, path), has_script=has_script)


def _resolve(loaded: LoadedDeployment, path: str) -> Path:
    return Path(find_local_path(loaded.resolve(path)) or path)


@contextmanager
def placing(loaded: LoadedDeployment, key: str) -> Iterator[None]:
    """Say where in the deployment the reference that cannot be used was written."""
    try:
        yield
    except (UnresolvedReferenceError, NotFoundError, InvalidFieldError) as error:
        place = loaded.get_place(key)
        raise type(error)(
            f"{place}: {error.message}",
            condition=error.condition,
            **{"file": place.source, "line": place.line, **error.attributes},
        ) from error


def _find_environment(
    loaded: LoadedDeployment, references: References, *, model: Model
) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
    """What the environment says, None if there is none, and what its user should know."""
    from sparkscore.control.environments.model import OF_MODEL, read_model_environment

    written = loaded.spec.environment
    if written is None:
        return None, ()
    if isinstance(written, EnvironmentSpec):
        return describe_environment(written, resolve=loaded.resolve), ()
    if written == OF_MODEL:
        return read_model_environment(model), ()
    if isinstance(references, NoReferences):
        text = (
            f"warning: environment {written} is a registered asset, and a one-shot run has no "
            "workspace to look it up in: scripts run in sparkscore's own Python"
        )
        return None, (text,)
    return references.find_environment(written), ()


def _warnings(*, model: Model, has_script: bool) -> tuple[str, ...]:
    if not has_script and isinstance(model, LocalModel) and not has_signature(model.path):
        text = "the model has no signature: its columns pass as they are read, unchecked"
        return (f"warning: {text}",)
    return ()
