"""What docs/kubernetes.md gives readers to apply."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkscore.targets.kubernetes import apache, kubeflow
from sparkscore.targets.kubernetes.resource import ENTRY_POINT
from sparkscore.targets.kubernetes.settings import SPARK_VERSION
from tests.servers.crds.strict import find_problems

PAGE = Path(__file__).parents[2] / "docs" / "kubernetes.md"
DOCUMENTS: list[dict[str, Any]] = [
    document
    for text in re.findall(r"^```yml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for document in yaml.safe_load_all(text)
]


def get_document(kind: str, name: str) -> dict[str, Any]:
    (found,) = (
        document
        for document in DOCUMENTS
        if document["kind"] == kind and document["metadata"]["name"] == name
    )
    return found


def test_page__accounts_are_bound_to_their_roles() -> None:
    for name in ("spark", "sparkscore"):
        binding = get_document("RoleBinding", name)
        account = get_document("ServiceAccount", name)
        assert binding["roleRef"]["name"] == get_document("Role", name)["metadata"]["name"]
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (name, account["metadata"]["namespace"])


@pytest.mark.parametrize(
    ("group", "resource", "verb"),
    [
        *((kubeflow.GROUP, "sparkapplications", verb) for verb in ("create", "get", "delete")),
        *((apache.GROUP, "sparkapplications", verb) for verb in ("create", "get", "delete")),
        ("", "pods", "list"),
        ("", "pods/log", "get"),
    ],
)
def test_page__role_allows_what_we_ask_for(group: str, resource: str, verb: str) -> None:
    rules = get_document("Role", "sparkscore")["rules"]
    assert any(
        group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]
        for rule in rules
    )


def test_page__scheduled_template_is_a_spec() -> None:
    template = get_document("ScheduledSparkApplication", "score-images")["spec"]["template"]
    resource = {
        "apiVersion": f"{kubeflow.GROUP}/{kubeflow.VERSION}",
        "kind": "SparkApplication",
        "metadata": {"name": "score-images"},
        "spec": template,
    }
    assert find_problems(resource, "kubeflow") == []
    assert template["mainApplicationFile"] == ENTRY_POINT
    assert template["sparkVersion"] == SPARK_VERSION
    assert template["arguments"][1:] == ["--run", f"$({template['driver']['env'][0]['name']})"]
