"""Delta Lake's jars, resolved once per machine and then taken from a cache. Spark driver.

``pip install delta-spark`` brings no jars. Ivy, which pyspark ships, fetches them from Maven
Central without a Spark session; Hadoop and what is in pyspark's own jars folder are left out.
Every later session takes the files by ``spark.jars``: no Ivy, and it works offline.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

from sparkscore.errors import MissingDependencyError

_COMPLETE = "complete.json"
_TIMEOUT_SECONDS = 900

_IVY_MODULE = """<ivy-module version="2.0">
  <info organisation="sparkscore" module="jars"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>
    <dependency org="io.delta" name="{artifact}" rev="{version}"
                conf="default->compile(*),master(*)"/>
    <exclude org="org.apache.hadoop"/>
  </dependencies>
</ivy-module>
"""

_IVY_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir="{folder}/cache"/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""


def delta_jars() -> list[Path]:
    """Delta's jars as local files; fetched by the first call on this machine.

    Raises MissingDependencyError (DELTA_JARS_MISSING) if they can be neither found nor fetched.
    """
    spark_jars = _spark_jars_folder()
    artifact, version, name = _wanted(spark_jars)
    folder = _cache_folder() / "jars" / name
    found = _find_complete(folder)
    if found is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / f"{name}.lock"):
        found = _find_complete(folder)
        if found is None:
            _fetch(folder, artifact=artifact, version=version, spark_jars=spark_jars)
            found = _find_complete(folder)
    if found is None:
        raise _missing(f"{folder} is not complete")
    return found


def find_delta_package() -> str | None:
    """Delta for this Spark as spark-submit's ``--packages`` takes it; None if it is not known."""
    try:
        artifact, version, _ = _wanted(_spark_jars_folder())
    except MissingDependencyError:
        return None
    return f"io.delta:{artifact}:{version}"


def _cache_folder() -> Path:
    given = os.environ.get("SPARKSCORE_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "sparkscore"


def _spark_jars_folder() -> Path:
    home = os.environ.get("SPARK_HOME")
    return (Path(home) if home else Path(pyspark.__file__).parent) / "jars"


def _wanted(spark_jars: Path) -> tuple[str, str, str]:
    """Artifact and version of Delta for this Spark, and the name of their folder."""
    core = next(spark_jars.glob("spark-core_*.jar"), None)
    match = core and re.fullmatch(r"spark-core_([\d.]+)-(\d+\.\d+)\..*\.jar", core.name)
    if not match:
        raise _missing(f"{spark_jars} has no Spark jars")
    scala, spark = match.groups()
    try:
        version = importlib.metadata.version("delta-spark")
    except importlib.metadata.PackageNotFoundError as error:
        raise _missing("the Python package delta-spark is not installed") from error
    has_suffix = tuple(int(part) for part in version.split(".")[:2]) >= (4, 1)
    artifact = f"delta-spark_{spark}_{scala}" if has_suffix else f"delta-spark_{scala}"
    return artifact, version, f"delta-{version}-scala{scala}-spark{spark}"


def _find_complete(folder: Path) -> list[Path] | None:
    """The jars if all that the marker names stand there in full."""
    try:
        sizes = json.loads((folder / _COMPLETE).read_text(encoding="utf-8"))
        is_whole = all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return None
    return [folder / name for name in sorted(sizes)] if is_whole else None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path, *, artifact: str, version: str, spark_jars: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".resolving-") as temporary:
        work = Path(temporary)
        (work / "ivy.xml").write_text(_IVY_MODULE.format(artifact=artifact, version=version))
        (work / "settings.xml").write_text(_IVY_SETTINGS.format(folder=work))
        _run_ivy(work, spark_jars)
        _drop_bundled(work / "jars", spark_jars)
        sizes = {path.name: path.stat().st_size for path in (work / "jars").glob("*.jar")}
        if not any(name.startswith(f"io.delta_{artifact}-") for name in sizes):
            raise _missing(f"Maven Central has no io.delta:{artifact}:{version}")
        (work / "jars" / _COMPLETE).write_text(json.dumps(sizes), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        (work / "jars").rename(folder)


def _run_ivy(work: Path, spark_jars: Path) -> None:
    pattern = "[organisation]_[artifact]-[revision].[ext]"
    command = [
        *(_java(), "-cp", f"{spark_jars}/*", f"-Divy.default.ivy.user.dir={work}"),
        *("org.apache.ivy.Main", "-settings", str(work / "settings.xml"), "-warn"),
        *("-ivy", str(work / "ivy.xml"), "-retrieve", str(work / "jars" / pattern)),
        *("-types", "jar", "bundle"),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing(f"running Ivy failed ({error})") from error
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        raise _missing("; ".join(lines[-3:]) or f"Ivy ended with {done.returncode}")


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


def _drop_bundled(folder: Path, spark_jars: Path) -> None:
    """Removes the jars that Spark ships, whatever their version: Spark's own come first anyway."""
    bundled = {_artifact(path.name) for path in spark_jars.glob("*.jar")}
    for path in folder.glob("*.jar"):
        if _artifact(path.name.partition("_")[2]) in bundled:
            path.unlink()


def _artifact(file_name: str) -> str:
    return re.sub(r"-\d[^-]*(-[^-]+)?\.jar$", "", file_name)


def _missing(reason: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"Delta Lake's jars could not be fetched: {reason}. Run once with access to Maven Central "
        "(they are kept in ~/.cache/sparkscore or $SPARKSCORE_CACHE), or choose another "
        "output_format",
        condition="DELTA_JARS_MISSING",
    )


def main() -> int:
    """Print the jars, a path a line: how the control plane, which imports no driver, gets them."""
    try:
        print("\n".join(map(str, delta_jars())))
    except MissingDependencyError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
