"""The compose file: its schema, and what no schema says."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from sparkscore import __version__

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
TEXT = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EACH_SERVICE = pytest.mark.parametrize("name", SERVICES)
OURS = re.compile(r"sparkscore-(spark|server):(.+)")


def find_problems(content: dict[str, Any]) -> list[str]:
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text(encoding="utf-8"))
    return [error.message for error in Draft7Validator(schema).iter_errors(content)]


def test_compose_file__keeps_to_the_schema() -> None:
    assert find_problems(COMPOSE) == []


def test_compose_file__schema_refuses_what_compose_does_not_know() -> None:
    server = {**SERVICES["server"], "depends_on": {"master": {"condition": "ready"}}}
    assert find_problems({**COMPOSE, "services": {"server": server}}) != []
    assert find_problems({**COMPOSE, "server": {}}) != []


def test_compose_file__has_the_parts_of_a_cluster() -> None:
    assert set(SERVICES) == {"master", "worker-1", "worker-2", "server", "postgres", "s3", "bucket"}


@EACH_SERVICE
def test_service__has_an_exact_version(name: str) -> None:
    image = SERVICES[name]["image"]
    ours = OURS.fullmatch(image)
    if ours:
        assert ours.group(2) == __version__
        assert SERVICES[name]["build"]["target"] == ours.group(1)
    else:
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", image)


def test_store__is_the_one_that_tests_use() -> None:
    assert SERVICES["s3"]["image"] == f"motoserver/moto:{version('moto')}"


@EACH_SERVICE
def test_service__has_a_check_or_ends(name: str) -> None:
    service = SERVICES[name]
    in_the_image = name == "server" and "HEALTHCHECK" in (DOCKER / "Dockerfile").read_text()
    assert in_the_image or "healthcheck" in service or service["restart"] == "no"


@EACH_SERVICE
def test_service__waits_for_what_has_a_check(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        ends = SERVICES[other]["restart"] == "no"
        wanted = "service_completed_successfully" if ends else "service_healthy"
        assert how["condition"] == wanted


@EACH_SERVICE
def test_service__of_ours_has_no_rights_of_root(name: str) -> None:
    service = SERVICES[name]
    if OURS.fullmatch(service["image"]):
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user", "pid", "network_mode"} & set(service)


@EACH_SERVICE
def test_service__listens_on_this_machine_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_secrets__come_from_outside_and_are_asked_for() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?set it in docker/\.env\}", TEXT))
    assert len(re.findall(r"\$\{", TEXT)) == len(re.findall(r"\$\{\w+:\?set it", TEXT))
    example = dict(
        line.split("=", 1)
        for line in (DOCKER / ".env.example").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    assert set(example) == {*asked, "COMPOSE_PROJECT_NAME"}
    assert {example[name] for name in asked} == {""}
    secret = re.compile(r"PASSWORD|SECRET|KEY_ID")
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not secret.search(name) or value.startswith("${")


@EACH_SERVICE
def test_service__runs_commands_that_the_image_has(name: str) -> None:
    service = SERVICES[name]
    if not OURS.fullmatch(service["image"]):
        return
    known = {path.name for path in (DOCKER / "scripts").iterdir()} | {"master", "worker"}
    commands = [service.get("command", [])[:1], service.get("healthcheck", {}).get("test", [])[1:2]]
    assert {name for command in commands for name in command} <= known
