"""Inputs and deployments of the soak: images, tables, texts of which some fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from rounds import HERE

ENDPOINT = "soak"
FILES = 48

KINDS = {
    "images": ("csv", "Completed"),
    "tables": ("delta", "Completed"),
    "texts": ("parquet", "Completed"),
    "bad": ("csv", "Failed"),
}
"""Folder of inputs -> format of the output, and how the job has to end."""

MARK = "@@ "
"""What the lines of the session's answers begin with."""

SCRIPT = HERE / "scripts" / "soak"


def write_inputs(folder: Path) -> None:
    """The folders images, tables, texts and bad (every second text is no number)."""
    random = np.random.default_rng(0)
    for name in ("images", "tables", "texts", "bad"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        pixels = random.integers(0, 255, (64, 64), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        table = pd.DataFrame(random.normal(size=(2000, 5)))
        table.to_csv(folder / "tables" / f"{number}.csv", index=False)
        (folder / "texts" / f"{number}.txt").write_text(f"{number}", encoding="utf-8")
        text = f"{number}" if number % 2 else "no number"
        (folder / "bad" / f"{number}.txt").write_text(text, encoding="utf-8")
    (folder / "model.txt").write_text("1\n", encoding="utf-8")


def make_deployments(folder: Path) -> list[dict[str, Any]]:
    """Deployments that write one file, a Delta table, and one that takes its time."""
    return [
        _make_deployment("file", folder),
        _make_deployment("delta", folder, output_format="delta"),
        _make_deployment("slow", folder, environment_variables={"SECONDS_EACH": "0.5"}),
    ]


def _make_deployment(name: str, folder: Path, **settings: Any) -> dict[str, Any]:
    return {
        "name": name,
        "endpoint_name": ENDPOINT,
        "model": {"path": str(folder / "model.txt")},
        "code_configuration": {"code": str(SCRIPT), "scoring_script": "score.py"},
        "settings": {
            "mini_batch_size": 2,
            "retry_settings": {"max_retries": 1, "timeout": 30},
            "error_threshold": 0,
            "isolate_failures": False,
            **settings,
        },
    }
