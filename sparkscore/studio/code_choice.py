"""Where the code of a deployment comes from: registered, uploaded or from a datastore.

Control plane.
"""

from __future__ import annotations

from sparkscore.control import Workspace
from sparkscore.control.assets import code_files
from sparkscore.control.assets.code_files import find_script, list_code_files
from sparkscore.control.assets.entities import CodeAsset
from sparkscore.errors import SparkscoreError
from sparkscore.studio.deployment_form import PLACE, REGISTERED, UPLOAD
from sparkscore.studio.forms import Form

_SOURCES = {
    REGISTERED: ("code", "Choose registered code."),
    UPLOAD: ("code_uploaded", "Choose the folder with the scoring script."),
    PLACE: (
        "code_path",
        "Give the path of a folder, such as azureml://datastores/NAME/paths/PATH.",
    ),
}


def settle_code(workspace: Workspace, form: Form) -> dict[str, str]:
    """The fields with the code registered, and its script found where only one fits.

    What is wrong stands beside the fields of ``form``.
    """
    source, sentence = _SOURCES.get(form.get("code_from"), _SOURCES[REGISTERED])
    place = form.find(source)
    if place is None:
        form.refuse(source, sentence)
        return {}
    try:
        code = _register(workspace, source, place)
    except SparkscoreError as error:
        form.refuse(source, error.message)
        return {}
    changes = {"code": code.reference, "code_from": REGISTERED, "code_path": ""}
    changes.update(dict.fromkeys(("code_uploaded", "code_uploaded_kind"), ""))
    names = {file.path for file in list_code_files(code)}
    script = form.get("scoring_script")
    if script in names:
        return {**changes, "scoring_script": script}
    found = find_script(code)
    if found is None or (script and source == "code"):
        form.refuse("scoring_script", _explain(script, names))
    return {**changes, "scoring_script": found or ""}


def find_code(workspace: Workspace, reference: str) -> CodeAsset | None:
    """The registered code of this reference; None if there is none."""
    if not reference:
        return None
    try:
        return workspace.code.resolve(reference)
    except SparkscoreError:
        return None


def list_scripts(workspace: Workspace, reference: str) -> list[str]:
    """The Python files of registered code, those first that can score."""
    code = find_code(workspace, reference)
    return [] if code is None else code_files.list_scripts(code)


def _register(workspace: Workspace, source: str, place: str) -> CodeAsset:
    """Equal content is kept once, so that going back and forth leaves nothing behind."""
    if source == "code":
        return workspace.code.resolve(place)
    return workspace.code.create(place)


def _explain(script: str, names: set[str]) -> str:
    if script:
        return f"The code has no file {script}: choose the one that has init() and run()."
    if not any(name.endswith(".py") for name in names):
        return "The code has no Python file: it needs one with init() and run(mini_batch)."
    return "Choose the file that defines init() and run(mini_batch)."
