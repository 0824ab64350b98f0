"""The steps that make endpoints and deployments. Control plane."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from sparkscore.control import Workspace
from sparkscore.rest.context import Served
from sparkscore.spec import render_yaml
from sparkscore.studio.access import CHANGES, Visit
from sparkscore.studio.choices import list_choices
from sparkscore.studio.code_choice import list_scripts
from sparkscore.studio.forms import FormOf
from sparkscore.studio.pages import redirect, render_page, render_segment
from sparkscore.studio.setting_fields import get_fields, iter_groups
from sparkscore.studio.wizard import STEPS, Wizard

router = APIRouter(dependencies=CHANGES)


@router.get("/create")
def begin(
    request: Request, workspace: Served, endpoint: str | None = None, model: str | None = None
) -> Response:
    """The first step; ``endpoint`` and ``model`` (NAME:VERSION) need no step then."""
    wizard = Wizard.begin(workspace, endpoint=endpoint or None, model=model or None)
    return _show(request, workspace, wizard)


@router.post("/create")
def go_on(request: Request, workspace: Served, form: FormOf, visit: Visit) -> Response:
    """Another step, or all is made."""
    wizard = Wizard.take(workspace, form)
    if form.get("go") != "create":
        is_fine = wizard.go(form.get("go"))
        return _show(request, workspace, wizard, status=200 if is_fine else 422)
    made = wizard.create()
    if made is None:
        return _show(request, workspace, wizard, status=422)
    what = f"Deployment {made.name}"
    if wizard.endpoint is None:
        what = f"Endpoint {made.endpoint_name} with deployment {made.name}"
    visit.tell(f"{what} was made. Create a job to score inputs with it.")
    return redirect(request, f"/endpoints/{render_segment(made.endpoint_name)}")


@router.get("/create/scripts")
def show_scripts(request: Request, workspace: Served, form: FormOf) -> Response:
    """The part that asks for the scoring script of the chosen code."""
    scripts = list_scripts(workspace, form.get("code"))
    return render_page(request, "script_choice.html", form=form, scripts=scripts)


def _show(request: Request, workspace: Workspace, wizard: Wizard, *, status: int = 200) -> Response:
    document, _ = wizard.write()
    response = render_page(
        request,
        "create.html",
        status=status,
        wizard=wizard,
        form=wizard.form,
        steps=[(step, STEPS[step]) for step in wizard.steps],
        **_describe_step(workspace, wizard, document),
    )
    # A browser's own Back button shows the step before again, as it was left.
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _describe_step(
    workspace: Workspace, wizard: Wizard, document: dict[str, object]
) -> dict[str, object]:
    """What one step shows beside its fields."""
    step = wizard.step
    described: dict[str, object] = {
        "groups": list(iter_groups(more=False)),
        "more_groups": list(iter_groups(more=True)),
        "fields_of": get_fields(),
        "endpoints": workspace.batch_endpoints.list() if step == "endpoint" else [],
        **list_choices(workspace, step, wizard.values),
    }
    if step == "review":
        is_new = wizard.endpoint is None
        described["endpoint_yaml"] = render_yaml(wizard.write_endpoint()) if is_new else ""
        described["deployment_yaml"] = render_yaml(document)
    return described
