"""The user's scoring script: loaded, called, and its failures told. Script host process."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import os
import sys
import traceback
from typing import Any, Callable

from sparkscore.errors import ScoringScriptError
from sparkscore.executor.failure_text import make_failure
from sparkscore.executor.script_stack import StackText, explain_error
from sparkscore.messages.outcome import ScoringFailure

BUILT_IN_SCRIPT = "sparkscore.executor.mlflow_script"


class ScoringScript:
    """A loaded scoring script: its ``init``, ``run`` and optional ``shutdown``."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._run = _function(module, "run")

    def init(self) -> None:
        """Call the script's ``init()``."""
        _function(self._module, "init")()

    def run(self, paths: list[str]) -> Any:
        """Call the script's ``run`` with local paths; its result as returned."""
        return self._run(paths)

    def shutdown(self) -> None:
        """Call the script's ``shutdown()`` if it has one."""
        shutdown = getattr(self._module, "shutdown", None)
        if callable(shutdown):
            shutdown()


def load_script(*, code_folder: str | None, file: str | None) -> ScoringScript:
    """Execute ``file`` in ``code_folder`` as a module, its siblings importable.

    Without a folder the built-in MLflow script is loaded. Each load executes the script anew.
    """
    if code_folder is None or file is None:
        sys.modules.pop(BUILT_IN_SCRIPT, None)
        return ScoringScript(importlib.import_module(BUILT_IN_SCRIPT))
    path = os.path.join(code_folder, file)
    for folder in (code_folder, os.path.dirname(path)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    name = os.path.splitext(os.path.basename(file))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScoringScriptError(f"{file} cannot be loaded as a Python module", file=file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return ScoringScript(module)


def _function(module: Any, name: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if not callable(function):
        raise ScoringScriptError(f"the scoring script has no function {name}()", function=name)
    if inspect.isgeneratorfunction(function):
        raise ScoringScriptError(f"{name}() of the scoring script is a generator", function=name)
    return function  # type: ignore[no-any-return]


def failure_of(
    error: BaseException, *, condition: str, code_folder: str | None = None
) -> ScoringFailure:
    """What a user is told of an exception in their code; never raises."""
    try:
        message = f"{type(error).__name__}: {error}"
    except BaseException:
        message = f"{type(error).__name__} (its text cannot be shown)"
    try:
        lines = traceback.format_exception(type(error), error, _user_frames(error))
        text = "".join(lines)
    except BaseException:
        text = ""
    try:
        stack = explain_error(error, code_folder=code_folder)
    except BaseException:
        stack = StackText()
    return make_failure(
        condition,
        message,
        text,
        script_line=stack.script_line,
        script_traceback=stack.script_traceback,
    )


def _user_frames(error: BaseException) -> Any:
    """The traceback without the frames of this package above the user's code."""
    here = os.path.dirname(__file__)
    frames = error.__traceback__
    inner = frames
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(here):
        inner = inner.tb_next
    return inner or frames


class _MarkedFormatter(logging.Formatter):
    mark = ""

    def format(self, record: logging.LogRecord) -> str:
        """The record, each of its lines with the mark of the attempt that runs."""
        return self.mark + super().format(record).replace("\n", "\n" + self.mark)


def set_log_mark(mark: str) -> None:
    """Mark what is logged from now on; ``mark`` is ``log_marks.render_mark`` of the attempt."""
    _MarkedFormatter.mark = mark


def configure_logging(level: str, *, file: str | None) -> None:
    """Send the script's ``logging`` to ``file``, or to standard error without one.

    In the file each line is marked; standard error is marked by who reads it.
    """
    handler: logging.Handler = (
        logging.FileHandler(file, encoding="utf-8") if file else logging.StreamHandler()
    )
    formatter = _MarkedFormatter if file else logging.Formatter
    handler.setFormatter(formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
