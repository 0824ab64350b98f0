"""Runs on a Kubernetes server that speaks the same HTTP, through the official client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.errors import SubmitError
from sparkscore.targets.base import Platform
from sparkscore.targets.kubernetes import cluster, platform_for
from tests.servers.kubernetes import KubernetesServer, kubernetes_server
from tests.targets.kubernetes_samples import IMAGE, compile_sample

GROUPS = {"kubeflow": "sparkoperator.k8s.io", "apache": "spark.apache.org"}
PODS = {"app.kubernetes.io/instance": "nightly"}
EACH_OPERATOR = pytest.mark.parametrize("operator", ["kubeflow", "apache"])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesServer]:
    with kubernetes_server() as server:
        monkeypatch.setenv("KUBECONFIG", str(server.write_kubeconfig(tmp_path / "config")))
        monkeypatch.setattr(cluster, "_PAUSES_SECONDS", (0.01, 0.02))
        yield server


def make_platform(**compute: Any) -> Platform:
    return platform_for({"image": IMAGE, "namespace": "scoring", **compute})


def submit(platform: Platform, name: str = "nightly", **given: Any) -> str:
    compute = {"namespace": "scoring", **given.pop("compute", {})}
    compiled = compile_sample(given.pop("job", name), compute=compute, **given)
    return platform.submit(compiled, name=name).run_id


def set_state(server: KubernetesServer, operator: str, **state: Any) -> None:
    key = (GROUPS[operator], "scoring", "nightly")
    if operator == "kubeflow":
        server.set_status(key, {"applicationState": state, "driverInfo": {}})
    else:
        server.set_status(key, state)


@EACH_OPERATOR
def test_submit__creates_the_resource(server: KubernetesServer, operator: str) -> None:
    platform = make_platform(operator=operator, page_url="https://host/{namespace}/runs/{name}")
    run = platform.submit(compile_sample(compute={"namespace": "scoring"}), name="nightly")
    assert (run.run_id, run.url) == ("scoring/nightly", "https://host/scoring/runs/nightly")
    (key,) = server.resources
    assert key == (GROUPS[operator], "scoring", "nightly")
    assert platform.get_status(run.run_id).state == "pending"
    assert platform.get_status(run.run_id).url == run.url


@EACH_OPERATOR
def test_submit__same_job_again_is_the_same_run(server: KubernetesServer, operator: str) -> None:
    platform = make_platform(operator=operator)
    first = submit(platform)
    uid = server.resources[GROUPS[operator], "scoring", "nightly"]["metadata"]["uid"]
    assert submit(platform) == first
    assert submit(make_platform(operator=operator)) == first
    assert [resource["metadata"]["uid"] for resource in server.resources.values()] == [uid]


def test_submit__resume_is_another_run(server: KubernetesServer) -> None:
    platform = make_platform()
    runs = [submit(platform, name, job="Nightly_1") for name in ("Nightly_1", "Nightly_1-r2")]
    assert len(set(runs)) == 2
    names = {
        resource["metadata"]["annotations"]["sparkscore/job-name"]
        for resource in server.resources.values()
    }
    assert names == {"Nightly_1"}


def test_submit__name_of_another_job(server: KubernetesServer) -> None:
    platform = make_platform()
    submit(platform, staging="s3://bucket/mine")
    with pytest.raises(SubmitError) as caught:
        submit(platform, staging="s3://bucket/theirs")
    assert caught.value.condition == "RUN_NAME_TAKEN"
    assert caught.value.attributes["run_id"] == "scoring/nightly"


def test_submit__resource_that_is_being_deleted(server: KubernetesServer) -> None:
    platform = make_platform()
    submit(platform)
    (resource,) = server.resources.values()
    resource["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(SubmitError) as caught:
        submit(platform)
    assert caught.value.condition == "RUN_NAME_TAKEN"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", "pending"),
        ("SUBMITTED", "pending"),
        ("RUNNING", "running"),
        ("SUCCEEDING", "running"),
        ("COMPLETED", "succeeded"),
        ("FAILING", "running"),
        ("PENDING_RERUN", "pending"),
        ("SUBMISSION_FAILED", "pending"),
        ("SUSPENDED", "pending"),
        ("FAILED", "failed"),
        ("UNKNOWN", "unknown"),
        ("SOMETHING_NEW", "unknown"),
    ],
)
def test_get_status__kubeflow(server: KubernetesServer, state: str, expected: str) -> None:
    platform = make_platform()
    run = submit(platform)
    set_state(server, "kubeflow", state=state, errorMessage="why")
    status = platform.get_status(run)
    assert status.state == expected
    assert "why" in status.message


@pytest.mark.parametrize(
    ("summary", "restarts", "expected"),
    [
        ("Submitted", 0, "pending"),
        ("DriverRequested", 0, "pending"),
        ("DriverReady", 0, "running"),
        ("RunningHealthy", 0, "running"),
        ("Succeeded", 0, "succeeded"),
        ("Failed", 0, "pending"),
        ("Failed", 1, "failed"),
        ("DriverEvicted", 1, "failed"),
        ("ScheduledToRestart", 1, "pending"),
        ("Unheard", 0, "unknown"),
    ],
)
def test_get_status__apache(
    server: KubernetesServer, summary: str, restarts: int, expected: str
) -> None:
    platform = make_platform(operator="apache")
    run = submit(platform)
    set_state(
        server,
        "apache",
        currentState={"currentStateSummary": summary, "message": "why"},
        currentAttemptSummary={"attemptInfo": {"id": restarts, "restartCounter": restarts}},
    )
    assert platform.get_status(run).state == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (["RunningHealthy", "Succeeded"], "succeeded"),
        (["Failed", "ScheduledToRestart", "Succeeded"], "succeeded"),
        (["Succeeded", "ScheduledToRestart", "Failed"], "failed"),
        ([], "failed"),
    ],
)
def test_get_status__apache_released_its_pods(
    server: KubernetesServer, history: list[str], expected: str
) -> None:
    platform = make_platform(operator="apache")
    run = submit(platform)
    states = [*history, "ResourceReleased"]
    set_state(
        server,
        "apache",
        currentState={"currentStateSummary": "ResourceReleased"},
        stateTransitionHistory={
            str(number): {"currentStateSummary": state} for number, state in enumerate(states, 7)
        },
    )
    assert platform.get_status(run).state == expected


def test_get_status__tells_why_the_driver_waits(server: KubernetesServer) -> None:
    platform = make_platform()
    run = submit(platform)
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    server.set_pod(
        "scoring",
        "nightly-driver",
        labels={**PODS, "spark-role": "driver"},
        status={"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]},
    )
    message = platform.get_status(run).message
    assert message == "pod nightly-driver: ImagePullBackOff: no such image"
    server.may_see_pods = False
    assert platform.get_status(run).message == ""


def test_get_status__tells_why_executors_wait(server: KubernetesServer) -> None:
    platform = make_platform()
    run = submit(platform)
    set_state(server, "kubeflow", state="RUNNING")
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }
    for number in range(5):
        server.set_pod(
            "scoring",
            f"nightly-exec-{number}",
            labels={**PODS, "spark-role": "executor"},
            status={"phase": "Pending" if number else "Running", "conditions": [condition]},
        )
    message = platform.get_status(run).message
    assert message == "RUNNING; pod nightly-exec-1: Unschedulable: 0/3 nodes are available"


def test_get_status__tells_how_the_driver_failed(server: KubernetesServer) -> None:
    platform = make_platform()
    run = submit(platform)
    set_state(server, "kubeflow", state="FAILED", errorMessage="driver container failed")
    terminated = {"exitCode": 137, "reason": "OOMKilled"}
    server.set_pod(
        "scoring",
        "nightly-driver",
        labels={**PODS, "spark-role": "driver"},
        status={"phase": "Failed", "containerStatuses": [{"state": {"terminated": terminated}}]},
    )
    server.logs["scoring", "nightly-driver"] = "a\nsparkscore: NO_INPUT: there is none\nINFO end\n"
    assert platform.get_status(run).message.split("; ") == [
        "FAILED: driver container failed",
        "pod nightly-driver: OOMKilled, exit code 137",
        "its log ends with: sparkscore: NO_INPUT: there is none",
    ]


@EACH_OPERATOR
def test_cancel__deletes_the_resource(server: KubernetesServer, operator: str) -> None:
    platform = make_platform(operator=operator)
    run = submit(platform)
    platform.cancel(run)
    assert server.resources == {}
    platform.cancel(run)
    with pytest.raises(SubmitError) as caught:
        platform.get_status(run)
    assert caught.value.condition == "RUN_NOT_FOUND"


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ({"token": "another"}, "PLATFORM_DENIED"),
        ({"allowed": set()}, "PLATFORM_DENIED"),
        ({"operators": ("apache",)}, "RUN_REFUSED"),
        ({"namespaces": {"default"}}, "RUN_REFUSED"),
        ({"faults": [(422, {})]}, "RUN_REFUSED"),
        ({"faults": [(503, {})] * 3}, "PLATFORM_UNREACHABLE"),
        ({"faults": [(200, {})] * 3}, "PLATFORM_UNREACHABLE"),
    ],
)
def test_submit__refused(server: KubernetesServer, change: dict[str, Any], condition: str) -> None:
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(SubmitError) as caught:
        submit(make_platform())
    assert caught.value.condition == condition
    assert server.resources == {}


def test_submit__a_busy_server_is_asked_again(server: KubernetesServer) -> None:
    server.faults = [(429, {"Retry-After": "0"}), (500, {})]
    run = submit(make_platform())
    assert make_platform().get_status(run).state == "pending"
    assert server.requests[:3] == [server.requests[0]] * 3


def test_get_status__a_new_token_is_read(server: KubernetesServer, tmp_path: Path) -> None:
    platform = make_platform()
    run = submit(platform)
    server.token = "a-newer-token"
    with pytest.raises(SubmitError):
        platform.get_status(run)
    server.write_kubeconfig(tmp_path / "config")
    assert platform.get_status(run).state == "pending"
    server.token = "the-newest-token"
    server.write_kubeconfig(tmp_path / "config")
    assert platform.get_status(run).state == "pending"


def test_platform__nobody_answers(server: KubernetesServer) -> None:
    with pytest.raises(SubmitError) as caught:
        submit(make_platform(context="nowhere"))
    assert caught.value.condition == "PLATFORM_UNREACHABLE"
    assert caught.value.attributes == {"context": "nowhere", "was_sent": False}


@pytest.mark.parametrize("fault", [(503, {}), (200, {})])
def test_platform__that_answers_badly_may_have_done_it(
    server: KubernetesServer, fault: tuple[int, dict[str, str]]
) -> None:
    server.faults = [fault] * 3
    with pytest.raises(SubmitError) as caught:
        submit(make_platform())
    assert caught.value.attributes["was_sent"] is True


def test_submit__taken_before_but_out_of_reach_since(server: KubernetesServer) -> None:
    submit(make_platform())
    server.last_request = len(server.requests) + 1  # that says that there is such a run
    with pytest.raises(SubmitError) as caught:
        submit(make_platform())
    assert caught.value.condition == "PLATFORM_UNREACHABLE"
    assert caught.value.attributes["was_sent"] is True


@pytest.mark.parametrize(
    ("kubeconfig", "context"),
    [("/nowhere/config", None), (None, "unheard"), ("", None), ("broken", None)],
)
def test_platform__is_not_configured(
    server: KubernetesServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    (tmp_path / "broken").write_text("clusters: [")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    if kubeconfig is not None:
        file = str(tmp_path / kubeconfig) if kubeconfig == "broken" else kubeconfig
        monkeypatch.setenv("KUBECONFIG", file)
    with pytest.raises(SubmitError) as caught:
        submit(make_platform(context=context))
    assert caught.value.condition == "PLATFORM_NOT_CONFIGURED"


def test_platform__needs_the_client() -> None:
    code = (
        "import sys\n"
        "sys.modules['kubernetes'] = None\n"
        "from sparkscore.errors import MissingDependencyError\n"
        "from sparkscore.targets.kubernetes import platform_for\n"
        "try:\n"
        "    platform_for({'image': 'a'}).get_status('a/b')\n"
        "except MissingDependencyError as error:\n"
        "    print(error.condition, error.attributes['package'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "KUBERNETES_CLIENT_MISSING kubernetes\n"
