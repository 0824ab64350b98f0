"""The steps that make an endpoint with its first deployment, or one more deployment.

Control plane. Every step's form carries the fields of all others, so that nothing typed is lost
and the server keeps nothing between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import FormData

from sparkscore.control import Deployment, Endpoint, Workspace
from sparkscore.control.endpoints.precondition import Precondition
from sparkscore.errors import NotFoundError, SparkscoreError
from sparkscore.spec import BatchEndpointSpec, load_deployment, load_document, parse_model
from sparkscore.studio.code_choice import settle_code
from sparkscore.studio.deployment_form import (
    MLFLOW,
    SCRIPT_FIELDS,
    describe_error,
    iter_refusals,
    list_defaults,
    uses_script,
    write_document,
)
from sparkscore.studio.forms import Form
from sparkscore.studio.pairs import read_pairs
from sparkscore.studio.setting_fields import INSTANCE_COUNT, get_fields

NEW, EXISTING = "new", "existing"
REVIEW = "review"
STEPS = {
    "endpoint": "Endpoint",
    "model": "Model",
    "deployment": "Deployment",
    "script": "Environment and script",
    "compute": "Compute",
    REVIEW: "Review",
}
_ENDPOINT_FIELDS = {
    "endpoint_mode": NEW,
    "endpoint_name": "",
    "new_endpoint_name": "",
    "endpoint_description": "",
    "endpoint_tags": "",
}
_OWN_FIELDS = {**_ENDPOINT_FIELDS, "set_default": "", "fixed": "", "step": "endpoint"}
_STEP_FIELDS = {
    "endpoint": tuple(_ENDPOINT_FIELDS),
    "model": ("model", "model_type"),
    "deployment": (
        "set_default",
        *(name for name in get_fields() if name != INSTANCE_COUNT),
    ),
    "script": SCRIPT_FIELDS,
    "compute": ("compute", INSTANCE_COUNT),
    REVIEW: (),
}
_FIXABLE = {"endpoint", "model"}
_IS_NEW = Precondition(is_absent=True)
_PLACEHOLDER = "azureml:placeholder:1"
_SENTENCES = {
    "name": "Name the deployment: 3 to 32 letters, digits and '-'.",
    "new_endpoint_name": "Name the endpoint: 3 to 32 letters, digits and '-'.",
    "endpoint_name": "Choose an endpoint.",
    "model": "Choose a model.",
}


class Wizard:
    """One look at the steps. ``form`` is replaced by one that has all fields.

    ``step`` is the one to show; ``endpoint`` the existing one that is chosen, if any.
    """

    def __init__(self, workspace: Workspace, values: Mapping[str, str]) -> None:
        self._workspace = workspace
        known = {**_OWN_FIELDS, **list_defaults()}
        self.values = {name: values.get(name, default) for name, default in known.items()}
        self.form = Form()
        self.endpoint: Endpoint | None = None
        self._use_values()
        self.step = self.values["step"] if self.values["step"] in self.steps else self.steps[0]

    @classmethod
    def begin(cls, workspace: Workspace, *, endpoint: str | None, model: str | None) -> Wizard:
        """The first step; a given endpoint or model is no question any more.

        Raises NotFoundError for one that is not there, InvalidFieldError for no reference.
        """
        fixed: list[str] = []
        values: dict[str, str] = {}
        if endpoint is not None:
            found = workspace.batch_endpoints.get(endpoint)
            values.update(endpoint_mode=EXISTING, endpoint_name=found.name)
            fixed.append("endpoint")
        if model is not None:
            reference = model if model.startswith("azureml:") else f"azureml:{model}"
            chosen = workspace.models.resolve(str(parse_model(reference)))
            values.update(model=chosen.reference, model_type=chosen.type)
            fixed.append("model")
        wizard = cls(workspace, {"fixed": ",".join(fixed), "step": "", **values})
        wizard._enter()
        return wizard

    @classmethod
    def take(cls, workspace: Workspace, form: Form) -> Wizard:
        """The step that a form was sent from. A box that is not ticked sends nothing."""
        sent = dict.fromkeys(_STEP_FIELDS.get(form.get("step"), ()), "")
        return cls(workspace, {**sent, **{name: form.get(name) for name in form.values()}})

    @property
    def steps(self) -> list[str]:
        """The steps that are asked."""
        fixed = {*self.values["fixed"].split(",")} & _FIXABLE
        return [step for step in STEPS if step not in fixed]

    @property
    def hidden_values(self) -> dict[str, str]:
        """What the step that is shown does not ask itself."""
        asked = {*_STEP_FIELDS[self.step]}
        if self.step == "script":
            asked -= {"use_script"} if not self.is_mlflow else set()
        if self.step == "model":
            asked -= {"model_type"}
        values = {name: text for name, text in self.values.items() if name not in asked}
        return {**values, "step": self.step}

    @property
    def is_mlflow(self) -> bool:
        """Whether the chosen model needs no script."""
        return self.values["model_type"] == MLFLOW

    @property
    def is_first(self) -> bool:
        """Whether the endpoint has no default yet, so that this deployment becomes it."""
        return self.endpoint is None or self.endpoint.default_deployment is None

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name, new or not."""
        is_new = self.values["endpoint_mode"] == NEW
        return self.values["new_endpoint_name" if is_new else "endpoint_name"]

    def go(self, where: str) -> bool:
        """Go to a step before, stay (``stay``), or go on; False if something is wrong first."""
        self._find_endpoint()
        at = self.steps.index(self.step)
        if where in self.steps[:at] or where == "stay":
            self.step = self.step if where == "stay" else where
            return True
        if where == "back":
            self.step = self.steps[max(at - 1, 0)]
            return True
        wrong = self.check(self.step)
        if wrong is None:
            self.step = self.steps[min(at + 1, len(self.steps) - 1)]
            self._enter()
        return wrong is None

    def check(self, last: str) -> str | None:
        """Check the steps up to ``last``; the step to correct becomes the one that is shown."""
        checks: dict[str, Callable[[], None]] = {
            "endpoint": self._check_endpoint,
            "model": self._check_model,
            "deployment": self._check_deployment,
            "script": self._check_script,
            "compute": self._check_references,
            REVIEW: lambda: None,
        }
        for step, check in checks.items():
            check()
            if self.form.errors:
                return self._show_wrong(step)
            if step == last:
                return None
        return None

    def create(self) -> Deployment | None:
        """Make everything, or nothing: then ``form`` says what is wrong."""
        self._find_endpoint()
        if self.check(REVIEW) is not None:
            return None
        document, _ = self.write()
        try:
            return self._workspace.batch_deployments.create(
                document,
                set_default=self.is_first or self.values["set_default"] == "true",
                precondition=_IS_NEW,
                new_endpoint=self.write_endpoint() if self.endpoint is None else None,
            )
        except SparkscoreError as error:
            self._take(describe_error(error))
            self._show_wrong(REVIEW)
            return None

    def write(self) -> tuple[dict[str, Any], dict[str, str]]:
        """The deployment's document, and what cannot be read of it by field."""
        base = {"name": "", "endpoint_name": self.endpoint_name, "type": "model"}
        return write_document(self.values, base)

    def write_endpoint(self) -> dict[str, Any]:
        """The new endpoint's document. Raises ValueError for tags that cannot be read."""
        content = {
            "name": self.values["new_endpoint_name"],
            "description": self.values["endpoint_description"] or None,
            "tags": read_pairs(self.values["endpoint_tags"]) or None,
        }
        return {name: value for name, value in content.items() if value is not None}

    def _use_values(self) -> None:
        self.form = Form(FormData(list(self.values.items())), self.form.errors)

    def _set(self, **changes: str) -> None:
        self.values.update(changes)
        self._use_values()

    def _find_endpoint(self) -> None:
        self.endpoint = None
        if self.values["endpoint_mode"] == EXISTING and self.endpoint_name:
            try:
                self.endpoint = self._workspace.batch_endpoints.get(self.endpoint_name)
            except NotFoundError as error:
                self.form.refuse("endpoint_name", error.message)

    def _enter(self) -> None:
        """Fill in what the step that comes now can guess."""
        self._find_endpoint()
        if self.step == "deployment" and not self.values["name"]:
            self._set(name=suggest_name(self.values["model"]))

    def _check_endpoint(self) -> None:
        if self.values["endpoint_mode"] == EXISTING:
            if not self.endpoint_name:
                self.form.refuse("endpoint_name", _SENTENCES["endpoint_name"])
            return
        if not self.endpoint_name:
            self.form.refuse("new_endpoint_name", _SENTENCES["new_endpoint_name"])
            return
        try:
            load_document(BatchEndpointSpec, self.write_endpoint())
        except SparkscoreError as error:
            fields = {"name": "new_endpoint_name", "tags": "endpoint_tags"}
            for field, message in iter_refusals(describe_error(error)):
                self.form.refuse(fields.get(field, "endpoint_description"), message)
        except ValueError as error:
            self.form.refuse("endpoint_tags", f"{error}: write one NAME=VALUE a line")
        if any(one.name.lower() == self.endpoint_name.lower() for one in self._endpoints()):
            self.form.refuse(
                "new_endpoint_name",
                f"Endpoint {self.endpoint_name} exists: choose it as an existing one, or take "
                "another name.",
            )

    def _endpoints(self) -> list[Endpoint]:
        return self._workspace.batch_endpoints.list()

    def _check_model(self) -> None:
        if not self.values["model"]:
            self.form.refuse("model", _SENTENCES["model"])
            return
        try:
            model = self._workspace.models.resolve(self.values["model"])
        except SparkscoreError as error:
            self.form.refuse("model", error.message)
        else:
            self._set(model=model.reference, model_type=model.type)

    def _check_deployment(self) -> None:
        if not self.values["name"]:
            self.form.refuse("name", _SENTENCES["name"])
        document, wrong = self.write()
        for field, message in wrong.items():
            self.form.refuse(field, message)
        script = {"code": _PLACEHOLDER, "scoring_script": "placeholder.py"}
        try:
            load_deployment({**document, "code_configuration": script})
        except SparkscoreError as error:
            for field, message in iter_refusals(describe_error(error)):
                if field not in _STEP_FIELDS["compute"]:
                    self.form.refuse(field, message)
        if self.endpoint is not None and self._has_deployment(self.endpoint):
            self.form.refuse(
                "name",
                f"Endpoint {self.endpoint.name} has a deployment of this name: take another one, "
                "or edit that one.",
            )

    def _has_deployment(self, endpoint: Endpoint) -> bool:
        found = self._workspace.batch_deployments.list(endpoint.name)
        return any(deployment.name == self.values["name"] for deployment in found)

    def _check_script(self) -> None:
        if uses_script(self.values):
            self._set(**settle_code(self._workspace, self.form))
        if not self.form.errors:
            self._check_references(with_compute=False)

    def _check_references(self, *, with_compute: bool = True) -> None:
        document, _ = self.write()
        if not with_compute:
            document.pop("compute", None)
            document.pop("resources", None)
        found = self._workspace.batch_deployments.validate(
            document, new_endpoint=self.write_endpoint() if self.endpoint is None else None
        )
        for error in found["errors"]:
            self._take(error)

    def _take(self, found: Mapping[str, Any]) -> None:
        for field, message in iter_refusals(found):
            self.form.refuse(field, message)

    def _show_wrong(self, step: str) -> str:
        """Show the first step that has a field with an error; one that is not asked says it."""
        wrong = set(self.form.errors)
        found = next((one for one in STEPS if wrong & {*_STEP_FIELDS[one]}), step)
        if found in self.steps:
            self.step = found
        else:
            for message in list(self.form.errors.values()):
                self.form.refuse("", message)
        return found


def suggest_name(reference: str) -> str:
    """A name for the first deployment of a model, such as ``mood-1``; empty if it has none."""
    text = reference.removeprefix("azureml:")
    name = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
    name = re.sub(r"^[^A-Za-z]+", "", name)
    return name if 3 <= len(name) <= 32 else ""
