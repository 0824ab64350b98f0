"""Random sequences of use cases against a small model of the rules."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from sparkscore.control.endpoints.invoke import make_job
from sparkscore.control.endpoints.request import InvokeRequest
from sparkscore.control.workspace import Workspace
from sparkscore.errors import StateError
from tests.control.endpoints.samples import deployment
from tests.control.samples import write_java

ENDPOINTS = st.sampled_from(["mood", "Tone"])
DEPLOYMENTS = st.sampled_from(["first", "second", "third"])
SIZES = st.integers(1, 9)


@dataclass
class EndpointModel:
    """What an endpoint is, by the rules."""

    default: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


class Rules(RuleBasedStateMachine):
    """Each rule does one thing to the workspace and to the model, or is refused by both."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.template / "ws", self.folder / "ws")
        self.workspace = Workspace.open(self.folder / "ws")
        self.model: dict[str, EndpointModel] = {}
        self.jobs: list[tuple[str, str, str, int]] = []

    def teardown(self) -> None:
        self.workspace.close()
        shutil.rmtree(self.folder)

    @rule(endpoint=ENDPOINTS, tag=st.sampled_from("ab"), value=st.sampled_from("xy"))
    def create_endpoint(self, endpoint: str, tag: str, value: str) -> None:
        overrides = [f"tags.{tag}={value}"]
        self.workspace.batch_endpoints.create(name=endpoint, overrides=overrides)
        self.model.setdefault(endpoint, EndpointModel()).tags = {tag: value}

    @rule(endpoint=ENDPOINTS, tag=st.sampled_from("abc"))
    def tag_endpoint(self, endpoint: str, tag: str) -> None:
        with self.refused_unless(endpoint in self.model):
            self.workspace.batch_endpoints.update(endpoint, overrides=[f"tags.{tag}=z"])
            self.model[endpoint].tags[tag] = "z"

    @rule(endpoint=ENDPOINTS, name=DEPLOYMENTS)
    def set_default(self, endpoint: str, name: str) -> None:
        with self.refused_unless(self.has(endpoint, name)):
            defaults = [f"deployment_name={name}"]
            self.workspace.batch_endpoints.update(endpoint, defaults=defaults)
            self.model[endpoint].default = name

    @rule(endpoint=ENDPOINTS)
    def delete_endpoint(self, endpoint: str) -> None:
        with self.refused_unless(endpoint in self.model):
            self.workspace.batch_endpoints.delete(endpoint.upper())
            del self.model[endpoint]

    @rule(endpoint=ENDPOINTS, name=DEPLOYMENTS, size=SIZES, is_default=st.booleans())
    def create_deployment(self, endpoint: str, name: str, size: int, is_default: bool) -> None:
        content = deployment(name, endpoint_name=endpoint, mini_batch_size=size)
        content["code_configuration"]["code"] = str(self.template / "code")
        with self.refused_unless(endpoint in self.model):
            self.workspace.batch_deployments.create(content, set_default=is_default)
            self.model[endpoint].sizes[name] = size
            if is_default:
                self.model[endpoint].default = name

    @rule(endpoint=ENDPOINTS, name=DEPLOYMENTS, size=SIZES)
    def update_deployment(self, endpoint: str, name: str, size: int) -> None:
        with self.refused_unless(self.has(endpoint, name)):
            overrides = [f"mini_batch_size={size}"]
            self.workspace.batch_deployments.update(name, endpoint, overrides=overrides)
            self.model[endpoint].sizes[name] = size

    @rule(endpoint=ENDPOINTS, name=DEPLOYMENTS, other=st.none() | DEPLOYMENTS)
    def delete_deployment(self, endpoint: str, name: str, other: str | None) -> None:
        modeled = self.model.get(endpoint, EndpointModel())
        needs_other = modeled.default == name and len(modeled.sizes) > 1
        may = self.has(endpoint, name) and (
            not needs_other if other is None else other != name and self.has(endpoint, other)
        )
        with self.refused_unless(may):
            self.workspace.batch_deployments.delete(name, endpoint, new_default=other)
            del modeled.sizes[name]
            modeled.default = other or (None if modeled.default == name else modeled.default)

    @rule(endpoint=ENDPOINTS, name=st.none() | DEPLOYMENTS, limit=st.none() | SIZES)
    def invoke(self, endpoint: str, name: str | None, limit: int | None) -> None:
        modeled = self.model.get(endpoint, EndpointModel())
        chosen = name or modeled.default
        request = InvokeRequest(
            deployment_name=name, input=str(self.template / "in"), mini_batch_size=limit
        )
        with self.refused_unless(chosen in modeled.sizes):
            made = make_job(self.workspace, endpoint, request)
            size = limit or modeled.sizes[str(chosen)]
            self.jobs.insert(0, (made, endpoint, str(chosen), size))

    @invariant()
    def workspace_is_what_the_rules_say(self) -> None:
        shown = {one.name: one for one in self.workspace.batch_endpoints.list()}
        assert sorted(shown, key=str.lower) == sorted(self.model, key=str.lower)
        for name, modeled in self.model.items():
            assert shown[name].record.tags == modeled.tags
            assert shown[name].default_deployment == modeled.default
            sizes = {
                one.name: one.record.document["settings"]["mini_batch_size"]
                for one in self.workspace.batch_deployments.list(name)
            }
            assert sizes == modeled.sizes

    @invariant()
    def jobs_stay_as_they_were_invoked(self) -> None:
        found = [
            (
                job.name,
                str(job.record.endpoint_name),
                str(job.record.deployment_name),
                job.record.deployment["settings"]["mini_batch_size"],
            )
            for job in self.workspace.jobs.list(all_results=True)
        ]
        assert found == self.jobs

    def has(self, endpoint: str, name: str) -> bool:
        return endpoint in self.model and name in self.model[endpoint].sizes

    def refused_unless(self, may: bool) -> Refusal:
        return Refusal(may)


class Refusal:
    """A block that ends with a named error of ours unless it may go through."""

    def __init__(self, may: bool) -> None:
        self._may = may

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if self._may:
            return False
        assert isinstance(error, (StateError, ValueError)), "it should have been refused"
        return True


@pytest.mark.slow
def test_workspace__random_sequences_follow_the_rules(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(write_java(tmp_path / "java")))
    monkeypatch.chdir(template)
    monkeypatch.setattr(Rules, "template", template, raising=False)
    run_state_machine_as_test(
        Rules, settings=settings(max_examples=30, stateful_step_count=25, deadline=None)
    )
    assert os.getcwd() == str(template)
