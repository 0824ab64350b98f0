"""Models for pages to choose."""

from __future__ import annotations

from pathlib import Path

from sparkscore.control.workspace import Workspace

MLMODEL = "flavors:\n  python_function:\n    loader_module: x\n"


def register_mlflow_model(workspace: Workspace) -> None:
    """The model ``delays``, which needs no script."""
    folder = Path(workspace.datastores.get_default().uri, "delays")
    folder.mkdir()
    (folder / "MLmodel").write_text(MLMODEL)
    assert workspace.models.create(name="delays", version="3", path=str(folder)).type == (
        "mlflow_model"
    )
