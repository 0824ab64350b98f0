"""Runs the Dockerfile without Docker: its stages become layers over this machine's own files.

The layers are overlay file systems: what a step installs or changes stands in the layer's folder,
and this machine stays as it is. Layers have to lie on another file system than ``/``: in memory.
Needs root and Debian or Ubuntu, whose files stand in for those of the base image; the base's Python
is the one that runs the tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sparkscore.driver.delta_jars import delta_jars
from tests.docker.dockerfile import ROOT, Instruction, read_stages

_ENTER = """
set -eu
root=$1 options=$2 mounts=$3 name=$4; shift 4
hostname "$name"
mount -t overlay -o "$options" overlay "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for pair in $mounts; do
  [ -e "$root${pair##*:}" ] || mkdir -p "$root${pair##*:}"
  mount --bind "${pair%%:*}" "$root${pair##*:}"
done
exec chroot "$root" "$@"
"""
_HIDDEN = (str(ROOT.relative_to("/")), "var/lib/apt/lists")
"""What no base image has: this repository, and lists of the archive's packages."""
UV_CACHE = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache" / "uv")
"""Where uv keeps packages: environments have links to them, to be made quickly."""
_UV = {"UV_CACHE_DIR": str(UV_CACHE), "UV_LINK_MODE": "symlink", "UV_COMPILE_BYTECODE": "0"}
_NETWORK = re.compile(r"(SSL_CERT|PIP|UV)_\w+|REQUESTS_CA_BUNDLE|\w+_proxy", re.IGNORECASE)
"""Variables by which this machine reaches registries."""
_SETTINGS = {
    # What images of Debian leave out of packages.
    "etc/dpkg/dpkg.cfg.d/docker": "path-exclude /usr/share/man/*\npath-exclude /usr/share/doc/*\n",
    # What this machine has need not be fetched to be newer.
    "etc/apt/apt.conf.d/99tests": 'APT::Get::Upgrade "false";\nAcquire::Languages "none";\n',
}
_LEAST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """Layers, the last one first, and what an image says of the processes that it runs."""

    layers: tuple[Path, ...]
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": _LEAST_PATH})
    folder: str = "/"
    user: str = "0"
    entrypoint: tuple[str, ...] = ()
    health: tuple[str, ...] = ()

    def command(self, variables: Mapping[str, str], command: Sequence[str]) -> list[str]:
        """What runs a command inside, as the image's user and with none of root's rights."""
        home = "/root" if self.user == "0" else "/home/spark"
        given = {"HOME": home, **self.variables, **variables}
        values = [f"{name}={value}" for name, value in given.items()]
        clean = ["/usr/bin/env", "-i", f"--chdir={self.folder}"]
        return [*_as_user(self.user), *clean, *values, *command]


def _as_user(user: str) -> list[str]:
    if user == "0":
        return []
    groups = ["--regid", "0", "--clear-groups"]
    rights = ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    return ["/usr/bin/setpriv", "--reuid", user, *groups, *rights]


def enter(
    layers: Sequence[Path],
    place: Path,
    command: Sequence[str],
    *,
    upper: Path,
    mounts: Mapping[Path, str] | None = None,
    hostname: str = "image",
) -> list[str]:
    """What runs a command over ``layers``, and keeps what it writes in ``upper``.

    ``place`` is an empty folder of the caller's. ``mounts`` are shown at paths inside.
    """
    root, work = place / "root", place / "work"
    for folder in (root, work, upper):
        folder.mkdir(parents=True, exist_ok=True)
    lower = ":".join([*map(str, layers), "/"])
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    shared = {UV_CACHE: str(UV_CACHE)}
    pairs = {**shared, **(mounts or {})}.items()
    shown = " ".join(f"{outside}:{inside}" for outside, inside in pairs)
    isolated = ["--mount", "--uts", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    return [
        "unshare",
        *isolated,
        "sh",
        "-c",
        _ENTER,
        "sh",
        str(root),
        options,
        shown,
        hostname,
        *command,
    ]


def make_base(folder: Path) -> Path:
    """The layer that makes this machine look like an image with Python: /usr/local and no more."""
    venv.create(folder / "usr" / "local", symlinks=True, system_site_packages=True)
    for name, text in _SETTINGS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    # The interpreter and uv's cache may be root's, for the images' user to read.
    UV_CACHE.mkdir(parents=True, exist_ok=True)
    for path in (Path(sys.executable).resolve(), UV_CACHE):
        for parent in path.parents:
            if not parent.stat().st_mode & 0o001:
                (folder / parent.relative_to("/")).mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in _HIDDEN:
        (folder / name).mkdir(parents=True, exist_ok=True)
        os.setxattr(folder / name, "trusted.overlay.opaque", b"y")
    # Without these every run would fetch them again.
    jars = delta_jars()[0].parent
    shutil.copytree(jars, folder / "opt" / "sparkscore" / "cache" / "jars" / jars.name)
    return folder


class Builder:
    """Builds stages, each once, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        network = {name: value for name, value in os.environ.items() if _NETWORK.fullmatch(name)}
        self._given = {**network, **_UV}
        self._stages = read_stages()
        self._base = Image((make_base(folder / "base"),))
        self._images: dict[str, Image] = {}

    def build(self, name: str) -> Image:
        """The image of a stage."""
        if name not in self._stages:
            assert name == "${PYTHON_IMAGE}", name
            return self._base
        if name not in self._images:
            stage = self._stages[name]
            below = self.build(stage.base)
            layer = self._folder / name
            layer.mkdir()
            image = replace(below, layers=(layer, *below.layers))
            for instruction in stage.instructions:
                image = self._do(instruction, image)
            self._images[name] = image
        return self._images[name]

    def _do(self, instruction: Instruction, image: Image) -> Image:
        word, text = instruction.word, instruction.text
        if word == "RUN":
            self._run(image, text)
        elif word == "COPY":
            self._copy(image, text.split(), instruction.flags)
        elif word == "ENV":
            pairs = dict(pair.split("=", 1) for pair in text.split())
            old = image.variables["PATH"]
            values = {key: value.replace("$PATH", old) for key, value in pairs.items()}
            return replace(image, variables={**image.variables, **values})
        elif word == "HEALTHCHECK":
            return replace(image, health=tuple(json.loads(text[text.index("[") :])))
        elif word == "ENTRYPOINT":
            return replace(image, entrypoint=tuple(json.loads(text)))
        elif word == "WORKDIR":
            (image.layers[0] / text[1:]).mkdir(parents=True, exist_ok=True)
            return replace(image, folder=text)
        elif word == "USER":
            return replace(image, user=text)
        else:
            assert word in ("EXPOSE", "VOLUME"), word
        return image

    def _run(self, image: Image, text: str) -> None:
        layer, *below = image.layers
        # Packages come from uv's cache if they are there.
        for given in ({**self._given, "UV_OFFLINE": "1"}, self._given):
            command = replace(image, user="0").command(given, ["sh", "-c", text])
            entered = enter(below, self._folder / f"{layer.name}.run", command, upper=layer)
            done = subprocess.run(entered, capture_output=True, text=True, timeout=280)
            if done.returncode == 0:
                return
        raise AssertionError(f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")

    def _copy(self, image: Image, names: Sequence[str], flags: Mapping[str, str]) -> None:
        *sources, target = names
        for source in sources:
            to = image.layers[0] / os.path.join(image.folder, target)[1:]
            if target.endswith("/"):
                to = to / Path(source).name
            to.parent.mkdir(parents=True, exist_ok=True)
            if "from" in flags:
                self._copy_built(self.build(flags["from"]), source, to)
            elif (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, to, ignore=ignored, dirs_exist_ok=True)
            else:
                shutil.copy(ROOT / source, to)
            if "chmod" in flags:
                for path in (to, *to.rglob("*")):
                    path.chmod(int(flags["chmod"], 8))

    def _copy_built(self, image: Image, source: str, to: Path) -> None:
        to.mkdir()
        place = self._folder / f"{image.layers[0].name}.copied"
        command = ["cp", "-a", f"{source}/.", "/mnt"]
        entered = enter(image.layers, place, command, upper=place / "nothing", mounts={to: "/mnt"})
        subprocess.run(entered, check=True, timeout=200)
