"""The wizard: its steps over HTTP, as a browser sends them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
import yaml

from sparkscore.control.workspace import Workspace
from sparkscore.studio.wizard import STEPS
from tests.studio.html_forms import find_errors, read_fields
from tests.studio.models import register_mlflow_model
from tests.studio.visitor import Seen, Visitor, visiting

HOSTILE = "</textarea><script>alert('x')</script> \"quotes\" \U0001f642 a=b"


@pytest.fixture
def visitor(workspace: Workspace) -> Iterator[Visitor]:
    with visiting(workspace) as found:
        yield found


@pytest.fixture(scope="module")
def looker(rest_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody who makes no endpoint: one server for all who do not."""
    folder = tmp_path_factory.mktemp("looker") / "ws"
    shutil.copytree(rest_template, folder)
    opened = Workspace.open(folder)
    with visiting(opened) as found:
        yield found
    opened.close()


def find_step(seen: Seen) -> str:
    found = re.search(r'<h2 id="step-title">([^<]+)</h2>', seen.text)
    assert found is not None, seen.text
    return found[1]


def go(visitor: Visitor, seen: Seen, where: str = "next", **typed: str) -> Seen:
    """Press a button of the step that was seen; ``__`` in a name stands for a dot."""
    fields = read_fields(seen.text)
    fields.update({name.replace("__", "."): text for name, text in typed.items()})
    return visitor.post("/create", {**fields, "go": where})


def reach(visitor: Visitor, step: str, **first: str) -> Seen:
    """The step of this title for a new endpoint with the model ``weights``."""
    typed: dict[str, dict[str, str]] = {
        "Endpoint": {"new_endpoint_name": "fresh", **first},
        "Model": {"model": "azureml:weights:1"},
        "Deployment": {"name": "fresh-v1"},
        "Environment and script": {"code": "azureml:score:1", "scoring_script": "score.py"},
        "Compute": {},
    }
    seen = visitor.get("/create")
    for title, fields in typed.items():
        if title == step:
            break
        assert find_step(seen) == title
        seen = go(visitor, seen, **fields)
    assert find_step(seen) == step
    return seen


def test_create__endpoint_with_its_first_deployment(visitor: Visitor, workspace: Workspace) -> None:
    seen = reach(visitor, "Review")
    assert workspace.batch_endpoints.list()[0].name == "mood"
    assert len(workspace.batch_endpoints.list()) == 1
    made = go(visitor, seen, "create")
    assert (made.status, made.place) == (303, "/studio/endpoints/fresh")
    deployment = workspace.batch_deployments.get("fresh-v1", "fresh")
    assert deployment.is_default
    assert deployment.record.document["code_configuration"]["scoring_script"] == "score.py"
    page = visitor.get("/endpoints/fresh").text
    assert "Endpoint fresh with deployment fresh-v1 was made." in page
    assert "/endpoints/fresh/jobs/create" in page


def test_create__same_form_twice_makes_one(visitor: Visitor, workspace: Workspace) -> None:
    seen = reach(visitor, "Review")
    assert go(visitor, seen, "create").status == 303
    again = go(visitor, seen, "create")
    assert (again.status, find_step(again)) == (422, "Endpoint")
    assert "exists" in find_errors(again.text)["new_endpoint_name"]
    assert len(workspace.batch_endpoints.list()) == 2


def test_back_and_forth__keeps_what_was_typed(looker: Visitor) -> None:
    seen = reach(looker, "Deployment", endpoint_description=HOSTILE, endpoint_tags="a=1\r\nb=2")
    variables = 'A=1\r\nB=" two "'
    typed = {"settings__mini_batch_size": "7", "settings__environment_variables": variables}
    fields = read_fields(seen.text)
    assert fields["settings.output_header"] == "true"
    unticked = {name: text for name, text in fields.items() if name != "settings.output_header"}
    typed_dotted = {name.replace("__", "."): text for name, text in typed.items()}
    seen = looker.post(
        "/create", {**unticked, **typed_dotted, "tags": HOSTILE, "name": "v-1", "go": "next"}
    )
    assert find_step(seen) == "Environment and script"
    for where in ("back", "back", "endpoint"):
        seen = go(looker, seen, where)
        assert seen.status == 200
    fields = read_fields(seen.text)
    assert fields["endpoint_description"] == HOSTILE
    assert fields["endpoint_tags"] == "a=1\r\nb=2"
    for _ in range(2):
        seen = go(looker, seen)
    fields = read_fields(seen.text)
    assert find_step(seen) == "Deployment"
    assert (fields["name"], fields["tags"], fields["settings.mini_batch_size"]) == (
        *("v-1", HOSTILE, "7"),
    )
    assert fields["settings.environment_variables"] == variables
    assert "settings.output_header" not in fields
    assert fields["settings.isolate_failures"] == "true"


def test_step__names_of_steps_ahead_do_not_skip_any(looker: Visitor) -> None:
    seen = go(looker, looker.get("/create"), "review")
    assert (seen.status, find_step(seen)) == (422, "Endpoint")
    assert go(looker, looker.get("/create"), "create").status == 422


@pytest.mark.parametrize(
    ("name", "words"), [("", "Name the endpoint"), ("ab", "3 to 32"), ("Mood", "exists")]
)
def test_endpoint__wrong_names(name: str, words: str, looker: Visitor) -> None:
    seen = go(looker, looker.get("/create"), new_endpoint_name=name)
    assert (seen.status, find_step(seen)) == (422, "Endpoint")
    assert words in find_errors(seen.text)["new_endpoint_name"]


def test_endpoint__tags_that_are_none(looker: Visitor) -> None:
    seen = go(looker, looker.get("/create"), new_endpoint_name="fresh", endpoint_tags="team")
    assert list(find_errors(seen.text)) == ["endpoint_tags"]


def test_model__must_be_there(looker: Visitor) -> None:
    seen = reach(looker, "Model")
    assert find_errors(go(looker, seen).text) == {"model": "Choose a model."}
    assert "weights" in find_errors(go(looker, seen, model="azureml:weight:1").text)["model"]


def test_deployment__errors_stand_beside_their_fields(looker: Visitor) -> None:
    seen = go(
        looker,
        reach(looker, "Deployment"),
        name="x!",
        settings__mini_batch_size="0",
        settings__spark_conf="no equals",
        settings__output_schema="a=<b>",
    )
    assert (seen.status, find_step(seen)) == (422, "Deployment")
    errors = find_errors(seen.text)
    assert set(errors) == {
        *("name", "settings.mini_batch_size", "settings.spark_conf", "settings.output_schema"),
    }
    assert "'<b>'" in errors["settings.output_schema"]
    # What is wrong under "More" is open to see.
    assert '<details class="more" open>' in seen.text


def test_script__mlflow_model_needs_none(visitor: Visitor, workspace: Workspace) -> None:
    register_mlflow_model(workspace)
    seen = visitor.get("/create?model=delays:3")
    assert find_step(seen) == "Endpoint"
    seen = go(visitor, seen, new_endpoint_name="late")
    assert (find_step(seen), read_fields(seen.text)["name"]) == ("Deployment", "delays-3")
    seen = go(visitor, seen)
    assert "Nothing is needed here" in seen.text
    seen = go(visitor, go(visitor, seen))
    assert find_step(seen) == "Review"
    assert go(visitor, seen, "create").status == 303
    document = workspace.batch_deployments.get("delays-3", "late").record.document
    assert "code_configuration" not in document
    assert document["model"] == "azureml:delays:3"


def test_script__found_in_code_of_a_datastore(visitor: Visitor, workspace: Workspace) -> None:
    seen = reach(visitor, "Environment and script")
    path = "azureml://datastores/workspaceblobstore/paths/code"
    seen = go(visitor, seen, code_from="path", code_path=path)
    assert find_step(seen) == "Compute"
    fields = read_fields(seen.text)
    assert fields["scoring_script"] == "score.py"
    (code,) = [one for one in workspace.code.list() if one.name.startswith("code-")]
    assert fields["code"] == code.reference


def test_script__found_in_an_upload(visitor: Visitor, workspace: Workspace) -> None:
    seen = reach(visitor, "Environment and script")
    script = b"def init(): ...\ndef run(mini_batch): return mini_batch\n"
    files = [("mine/main.py", script), ("mine/more/helper.py", b"x = 1\n")]
    sent = visitor.upload("/uploads/code?field=code_uploaded&kind=folder", files)
    assert sent.status == 201
    found = dict(re.findall(r'name="(code_uploaded\w*)" value="([^"]+)"', sent.text))
    seen = go(visitor, seen, code_from="upload", **found)
    assert (find_step(seen), read_fields(seen.text)["scoring_script"]) == ("Compute", "main.py")
    made = go(visitor, go(visitor, seen), "create")
    assert made.status == 303
    document = workspace.batch_deployments.get("fresh-v1", "fresh").record.document
    assert document["code_configuration"]["scoring_script"] == "main.py"


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"code": ""}, "code", "Choose registered code"),
        ({"code": "azureml:nothing:1"}, "code", "nothing"),
        ({"code": "azureml:score:1", "scoring_script": "no.py"}, "scoring_script", "no.py"),
        ({"code": "azureml:score:1", "scoring_script": "helper.py"}, "scoring_script", "init"),
        ({"code_from": "path", "code_path": ""}, "code_path", "Give the path"),
        ({"code_from": "path", "code_path": "/etc"}, "code_path", "datastore"),
        ({"code_from": "upload"}, "code_uploaded", "Choose the folder"),
    ],
)
def test_script__wrong_code(typed: dict[str, str], field: str, words: str, looker: Visitor) -> None:
    seen = go(looker, reach(looker, "Environment and script"), **typed)
    assert (seen.status, find_step(seen)) == (422, "Environment and script")
    assert words in find_errors(seen.text)[field]


def test_script__files_of_code_are_offered(looker: Visitor) -> None:
    part = looker.get("/create/scripts?code=azureml:score:1").text
    assert re.findall(r'<option value="([^"]+)"', part) == ["score.py", "helper.py"]
    assert '<input id="scoring_script"' in looker.get("/create/scripts?code=azureml:no:1").text


def test_compute__too_many_instances(looker: Visitor) -> None:
    seen = go(
        looker,
        reach(looker, "Compute"),
        compute="azureml:cpu-cluster",
        resources__instance_count="9",
    )
    assert (seen.status, find_step(seen)) == (422, "Compute")
    assert "at most 3" in find_errors(seen.text)["resources.instance_count"]


def test_review__shows_yaml_that_loads(looker: Visitor) -> None:
    seen = reach(looker, "Review", endpoint_description=HOSTILE)
    sources = [
        yaml.safe_load(unescape(text))
        for text in re.findall(r'<pre class="source"[^>]*>([^<]*)</pre>', seen.text)
    ]
    assert [source["name"] for source in sources] == ["fresh", "fresh-v1"]
    assert sources[0]["description"] == HOSTILE
    assert sources[1]["endpoint_name"] == "fresh"
    assert HOSTILE not in seen.text


def test_review__what_vanished_meanwhile_is_asked_again(
    visitor: Visitor, workspace: Workspace
) -> None:
    seen = reach(visitor, "Review")
    changed = {**read_fields(seen.text), "compute": "azureml:cpu-cluster", "go": "create"}
    workspace.computes.delete("cpu-cluster")
    seen = visitor.post("/create", changed)
    assert (seen.status, find_step(seen)) == (422, "Compute")
    assert "fresh" not in [one.name for one in workspace.batch_endpoints.list()]


@pytest.mark.parametrize("box", [{}, {"set_default": "true"}])
def test_add_deployment__becomes_default_if_wanted(
    box: dict[str, str], visitor: Visitor, workspace: Workspace
) -> None:
    seen = visitor.get("/create?endpoint=MOOD&model=weights:1")
    assert find_step(seen) == "Deployment"
    assert "Now it is mood-v1." in seen.text
    wrong = go(visitor, seen, name="mood-v1")
    assert "has a deployment of this name" in find_errors(wrong.text)["name"]
    seen = go(visitor, wrong, name="mood-v2", **box)
    seen = go(visitor, seen, code="azureml:score:1")
    made = go(visitor, go(visitor, seen), "create")
    assert made.place == "/studio/endpoints/mood"
    assert workspace.batch_deployments.get("mood-v2", "mood").is_default is bool(box)


def test_add_deployment__to_an_existing_endpoint_without_one(
    visitor: Visitor, workspace: Workspace
) -> None:
    workspace.batch_endpoints.create(name="empty")
    seen = visitor.get("/create")
    assert (
        "Choose an endpoint"
        in find_errors(go(visitor, seen, endpoint_mode="existing").text)["endpoint_name"]
    )
    seen = go(visitor, seen, endpoint_mode="existing", endpoint_name="empty")
    for typed in ({"model": "azureml:weights:1"}, {}, {"code": "azureml:score:1"}, {}):
        seen = go(visitor, seen, **typed)
    assert go(visitor, seen, "create").status == 303
    (made,) = workspace.batch_deployments.list("empty")
    assert (made.name, made.is_default) == ("weights-1", True)


@pytest.mark.parametrize("query", ["endpoint=nothing", "model=nothing:1", "model=weights:7"])
def test_begin__what_is_not_there(query: str, looker: Visitor) -> None:
    assert looker.get(f"/create?{query}").status == 404


@pytest.mark.parametrize(
    "changed",
    [
        {"fixed": ",".join(STEPS)},
        {"step": "nowhere"},
        {"fixed": "endpoint", "endpoint_mode": "existing", "endpoint_name": "<gone>"},
        {"code_from": "nowhere", "endpoint_mode": "other", "use_script": "\0"},
        {"settings.mini_batch_size": "1" * 5000, "unknown": "field"},
    ],
)
@pytest.mark.parametrize("where", ["next", "back", "stay", "review", "create", ""])
def test_go__forms_that_no_page_made(changed: dict[str, str], where: str, looker: Visitor) -> None:
    fields = {"new_endpoint_name": "Mood", **changed}
    seen = looker.send("/create", {**fields, "go": where})
    assert seen.status in (200, 422)
    assert find_step(seen)
    assert "<gone>" not in seen.text


@pytest.mark.parametrize("role", ["reader", "invoker"])
def test_create__takes_a_contributor(role: str, workspace: Workspace) -> None:
    with visiting(workspace, role) as visitor:
        assert visitor.get("/create").status == 403
        assert visitor.send("/create", {"go": "create"}).status == 403
        assert 'href="/studio/create"' not in visitor.get("/endpoints").text
