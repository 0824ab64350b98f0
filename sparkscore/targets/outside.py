"""Targets that other packages bring. Control plane.

They are found by the entry-point group ``sparkscore.targets``. Nothing of these packages is
imported before one of their targets is asked for by its name.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sparkscore.errors import SparkscoreError, TargetError
from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.base import Capability, CompiledApplication, Target

GROUP = "sparkscore.targets"

_RESERVED = ("launch.json", "sparkscore.zip", "code", "model")
"""Names in a compiled folder that a target's files may not take."""

_OF_AN_ENVIRONMENT = "environment-"


@dataclass(frozen=True)
class OutsideTarget:
    """A target of the package ``package``; what it gives is checked before anything is written."""

    target: Target
    package: str

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def master(self) -> str | None:
        return self.target.master

    @property
    def compute_type(self) -> str | None:
        return self.target.compute_type

    @property
    def own_folders(self) -> tuple[str, ...]:
        return self.target.own_folders

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.target.capabilities

    def compile(self, application: SparkApplication) -> CompiledApplication:
        """Raises TargetError (TARGET_PACKAGE_BROKEN) if the package fails, what it refuses else."""
        try:
            compiled = self.target.compile(application)
        except SparkscoreError:
            raise
        except Exception as error:
            raise _broken(self.name, self.package, f"it failed: {_describe(error)}") from error
        problem = _find_file_problem(compiled)
        if problem is not None:
            raise _broken(self.name, self.package, problem)
        return compiled


def list_outside_names() -> tuple[str, ...]:
    """Names of targets that installed packages bring, sorted; imports none of them."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def find_outside_target(name: str) -> OutsideTarget | None:
    """The target of this name, None if no installed package brings one.

    Raises TargetError (TARGET_PACKAGE_BROKEN) if its package cannot be imported or brings something
    else, or (TARGET_AMBIGUOUS) if several packages bring it.
    """
    entries = {(_name_package(entry), entry.value): entry for entry in entry_points(group=GROUP)}
    found = {key: entry for key, entry in entries.items() if entry.name == name}
    if not found:
        return None
    if len(found) > 1:
        packages = ", ".join(sorted(package for package, _ in found))
        raise TargetError(
            f"target {name} is brought by {packages}: uninstall all of them but one",
            condition="TARGET_AMBIGUOUS",
            target=name,
            packages=packages.split(", "),
        )
    (((package, _), entry),) = found.items()
    return OutsideTarget(_load(entry, package), package)


def iter_problems(target: Any, *, name: str) -> Iterator[str]:
    """What keeps an object from being the target ``name``, as clauses."""
    if not callable(getattr(target, "compile", None)):
        yield "it has no method compile"
    if getattr(target, "name", None) != name:
        yield f"its name is {getattr(target, 'name', None)!r}"
    for attribute in ("master", "compute_type"):
        value = getattr(target, attribute, 0)
        if value is not None and not isinstance(value, str):
            yield f"its {attribute} is neither text nor None"
    folders = getattr(target, "own_folders", None)
    if not isinstance(folders, tuple) or not all(isinstance(one, str) for one in folders):
        yield "its own_folders is no tuple of texts"
    capabilities = getattr(target, "capabilities", None)
    if not isinstance(capabilities, frozenset) or not all(
        isinstance(one, Capability) for one in capabilities
    ):
        yield "its capabilities is no frozenset of Capability"
    elif Capability.COMPILE not in capabilities:
        yield "its capabilities lack COMPILE"


def _load(entry: EntryPoint, package: str) -> Target:
    try:
        target: Target = entry.load()()
    except (Exception, SystemExit) as error:
        reason = f"{entry.value} cannot be loaded: {_describe(error)}"
        raise _broken(entry.name, package, reason) from error
    problems = [*iter_problems(target, name=entry.name)]
    if not problems and Capability.RUN in target.capabilities:
        problems = ["its capabilities have RUN, which targets of other packages cannot do"]
    if problems:
        raise _broken(entry.name, package, f"{entry.value} is no target: {'; '.join(problems)}")
    return target


def _find_file_problem(compiled: object) -> str | None:
    if not isinstance(compiled, CompiledApplication):
        return f"compile gave a {type(compiled).__name__}, not a CompiledApplication"
    files: Mapping[Any, Any] = compiled.files
    for name, text in files.items():
        if not (isinstance(name, str) and isinstance(text, str)):
            return f"files has {name!r}, and must map names to texts"
        is_plain = name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}
        if not is_plain or name in _RESERVED or name.startswith(_OF_AN_ENVIRONMENT):
            return f"files has {name!r}: names must be plain, and none of {', '.join(_RESERVED)}"
    return None


def _describe(error: BaseException) -> str:
    """Type, message, and the line of code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return " ".join(f"{type(error).__name__}: {error}{where}".split())


def _name_package(entry: EntryPoint) -> str:
    """The name of the installed package, its module's if its metadata is damaged."""
    name = entry.dist.metadata["Name"] if entry.dist is not None else None
    return str(name or entry.value.partition(":")[0])


def _broken(name: str, package: str, reason: str) -> TargetError:
    return TargetError(
        f"target {name} of package {package} cannot be used: {reason}; update or uninstall "
        f"{package}",
        condition="TARGET_PACKAGE_BROKEN",
        target=name,
        package=package,
    )
