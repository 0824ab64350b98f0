"""Jobs over small files, some of which always fail; for faults that are not kills."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkscore.messages.codec import to_json
from sparkscore.messages.launch import LaunchMessage
from tests.chaos.checks import Row, check_job
from tests.spark.conftest import write_launch

SCRIPT = """
import os, time
def run(batch):
    time.sleep({seconds})
    names = [os.path.basename(path) for path in batch]
    if any(name.endswith("13.txt") for name in names):
        raise ValueError("unlucky")
    return [{{"file": name, "text": os.urandom({row_bytes}).hex()}} for name in names]
"""


@dataclass(frozen=True)
class PlainJob:
    """A job whose inputs with 13 at the end of their names fail."""

    launch: LaunchMessage
    inputs: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The job folder."""
        return Path(self.launch.job_folder)

    @property
    def input_folder(self) -> Path:
        """The folder with the inputs."""
        return Path(self.launch.input.uri)

    @property
    def output(self) -> Path:
        """The folder of the output."""
        return Path(self.launch.output.path)

    @property
    def failing(self) -> dict[str, str]:
        """The inputs that fail, whatever is done."""
        return {name: "SCRIPT_RAISED" for name in self.inputs if name.endswith("13.txt")}

    def check(
        self,
        *,
        status: str = "Completed",
        failing: Mapping[str, str] | None = None,
        rows: Collection[Row] | None = None,
    ) -> dict[str, Any]:
        """Everything that must hold of the ended job; returns its summary.

        ``failing`` are inputs that must have failed besides those that always do.
        """
        (self.folder / "launch.json").write_text(to_json(self.launch))
        expected = {**self.failing, **(failing or {})}
        return check_job(
            self.folder,
            inputs=self.inputs,
            failing=expected if status == "Completed" else {},
            accepts=lambda line: expected.get(line["path"]) == line["condition"],
            status=status,
            rows=rows,
        )


def make_plain_job(
    place: Path, *, inputs: int, seconds: float = 0.0, row_bytes: int = 4, **more: Any
) -> PlainJob:
    """A job whose ``run`` lasts ``seconds``; ``more`` is what ``write_launch`` takes."""
    names = tuple(f"{number:04d}.txt" for number in range(inputs))
    script = SCRIPT.format(seconds=seconds, row_bytes=row_bytes)
    settings = {"max_retries": 0, **more}
    return PlainJob(write_launch(place, script, dict.fromkeys(names, ""), **settings), names)
