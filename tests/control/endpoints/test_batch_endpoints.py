from __future__ import annotations

from pathlib import Path

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.errors import InvalidFieldError, NotFoundError, SpecError
from tests.control.endpoints.samples import make_endpoint


def test_create__name_alone_is_enough(workspace: Workspace) -> None:
    made = workspace.batch_endpoints.create(name="mood").to_dict()
    assert next(iter(made)) == "name"
    assert (made["auth_mode"], made["provisioning_state"]) == ("aad_token", "Succeeded")
    assert made["defaults"] == {"deployment_name": None}
    assert made["scoring_uri"] == "http://127.0.0.1:8600/batchEndpoints/mood/jobs"
    assert workspace.batch_endpoints.get("MOOD").to_dict() == made


def test_create__existing_one_is_updated(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    file = place / "endpoint.yml"
    file.write_text("name: other\ndescription: of texts\ntags:\n  team: a\n")
    first = workspace.batch_endpoints.create(file, name="mood").to_dict()
    assert (first["description"], first["tags"]) == ("of texts", {"team": "a"})
    assert first["defaults"] == {"deployment_name": "mood-v1"}
    again = workspace.batch_endpoints.create({"name": "mood", "tags": {"team": "b"}}).to_dict()
    assert (again["description"], again["tags"]) == ("of texts", {"team": "b"})
    assert [endpoint.name for endpoint in workspace.batch_endpoints.list()] == ["mood"]


def test_create__what_show_printed_loads(workspace: Workspace) -> None:
    shown = workspace.batch_endpoints.create(name="mood", overrides=["tags.a=1"]).to_dict()
    shown.pop("creation_context")
    assert workspace.batch_endpoints.create(shown).to_dict()["tags"] == {"a": "1"}


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ({"auth_mode": "key"}, "INVALID_FIELD"),
        ({"name": "9lives"}, "INVALID_FIELD"),
        ({"descripton": "a"}, "UNKNOWN_FIELD"),
        ({"traffic": {"a": 100}}, "INVALID_FIELD"),
    ],
)
def test_create__what_is_refused(
    change: dict[str, object], condition: str, workspace: Workspace
) -> None:
    with pytest.raises(SpecError) as caught:
        workspace.batch_endpoints.create({"name": "mood", **change})
    assert caught.value.condition == condition
    assert workspace.batch_endpoints.list() == []


def test_update__description_tags_and_default(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1", "mood-v2")
    endpoints = workspace.batch_endpoints
    endpoints.update("mood", overrides=["description=of texts", "tags.a=1", "tags.b=2"])
    endpoints.update("mood", additions=["tags.c=3"], removals=["tags.a"])
    updated = endpoints.update("mood", defaults=["deployment_name=mood-v2"]).to_dict()
    assert (updated["description"], updated["tags"]) == ("of texts", {"b": "2", "c": "3"})
    assert updated["defaults"]["deployment_name"] == "mood-v2"
    later = endpoints.update("mood", overrides=["defaults.deployment_name=mood-v1"])
    assert later.default_deployment == "mood-v1"


def test_update__file_lies_over_what_is_there(workspace: Workspace, place: Path) -> None:
    make_endpoint(workspace, "mood-v1")
    workspace.batch_endpoints.update("mood", overrides=["tags.a=1"])
    file = place / "endpoint.yml"
    file.write_text("name: whatever\ndescription: of texts\n")
    updated = workspace.batch_endpoints.update("mood", source=file).to_dict()
    assert (updated["description"], updated["tags"]) == ("of texts", {"a": "1"})
    assert updated["defaults"]["deployment_name"] == "mood-v1"


def test_update__unknown_default_names_the_closest(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    with pytest.raises(NotFoundError) as caught:
        workspace.batch_endpoints.update("mood", defaults=["deployment_name=mod-v1"])
    assert caught.value.condition == "DEPLOYMENT_NOT_FOUND"
    assert caught.value.attributes["closest"] == "mood-v1"
    assert workspace.batch_endpoints.get("mood").default_deployment == "mood-v1"
    with pytest.raises(NotFoundError):
        workspace.batch_endpoints.create(
            {"name": "fresh", "defaults": {"deployment_name": "mood-v1"}}
        )
    assert [endpoint.name for endpoint in workspace.batch_endpoints.list()] == ["mood"]


def test_update__name_stays(workspace: Workspace) -> None:
    make_endpoint(workspace)
    with pytest.raises(InvalidFieldError) as caught:
        workspace.batch_endpoints.update("mood", overrides=["name=moods"])
    assert caught.value.condition == "NAME_NOT_CHANGEABLE"


def test_delete__deployments_go_with_it(workspace: Workspace) -> None:
    make_endpoint(workspace, "mood-v1")
    workspace.batch_endpoints.delete("mood")
    with pytest.raises(NotFoundError) as caught:
        workspace.batch_deployments.list("mood")
    assert caught.value.condition == "ENDPOINT_NOT_FOUND"
    workspace.batch_endpoints.create(name="mood")
    assert workspace.batch_deployments.list("mood") == []
    with pytest.raises(NotFoundError):
        workspace.batch_endpoints.delete("moods")


def test_list__reads_as_a_table(workspace: Workspace) -> None:
    assert repr(workspace.batch_endpoints.list()) == "(none)"
    workspace.batch_endpoints.create(name="mood", overrides=["description=of texts"])
    assert repr(workspace.batch_endpoints.list()).splitlines() == [
        "name  description",
        "mood  of texts",
    ]
