"""Endpoints, deployments, jobs and assets by commands, on a real workspace."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import REPOSITORY, START, Run, RunCli
from tests.cli.places import ENDPOINT

COMPUTES = REPOSITORY / "tests" / "golden" / "computes"


def wait_for_end(run: Run, job: str) -> str:
    deadline = time.monotonic() + 60
    while (status := run(f"job show -n {job} --query status -o tsv")) not in (
        "Completed",
        "Failed",
        "Canceled",
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return status


def test_endpoint__from_creation_to_deletion(run: Run, run_cli: RunCli) -> None:
    made = json.loads(run("batch-endpoint create --f endpoint.yml --set description=other"))
    assert (made["name"], made["description"]) == (ENDPOINT, "other")
    changes = "--set description=new --add tags.x=1 --remove tags.team"
    run(f"batch-endpoint update -n {ENDPOINT} {changes}")
    shown = json.loads(run(f"batch-endpoint show -n {ENDPOINT}"))
    assert (shown["description"], shown["tags"]) == ("new", {"x": "1"})
    assert run("batch-endpoint list --query [].name -o tsv") == ENDPOINT
    assert run(f"batch-endpoint delete -n {ENDPOINT} --yes --no-wait") == ""
    assert run_cli("batch-endpoint", "show", "-n", ENDPOINT).exit_code == 5


def test_endpoint__update_by_file_alone(run: Run, place: Path) -> None:
    run("batch-endpoint create -f endpoint.yml")
    (place / "endpoint.yml").write_text(f"name: {ENDPOINT}\ndescription: changed\n")
    assert run("batch-endpoint update -f endpoint.yml --query description -o tsv") == "changed"


@pytest.mark.parametrize("verb", ["create", "update"])
def test_endpoint__without_a_name(run_cli: RunCli, place: Path, verb: str) -> None:
    answer = run_cli("batch-endpoint", verb)
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith("sparkscore: NAME_NEEDED: ")


def test_deployment__from_creation_to_deletion(run: Run, endpoint: str, run_cli: RunCli) -> None:
    run(f"batch-deployment create -f second.yml --endpoint {endpoint} --set mini_batch_size=7")
    show = f"batch-deployment show -n second -e {endpoint} --query"
    assert run(f"{show} settings.mini_batch_size") == "7"
    run(f"batch-deployment update -n second -e {endpoint} --set mini_batch_size=8")
    run("batch-deployment update -f second.yml --set settings.retry_settings.timeout=99")
    assert run(f"{show} settings.[mini_batch_size,retry_settings.timeout] -o tsv") == "2\n99"
    assert run(f"batch-deployment list -e {endpoint} --query [].name -o tsv") == "first\nsecond"
    refused = run_cli("batch-deployment", "delete", "-n", "first", "-e", endpoint, "--yes")
    assert refused.err.startswith("sparkscore: NEW_DEFAULT_NEEDED: ")
    run(f"batch-deployment delete -n first -e {endpoint} --yes --new-default second")
    assert run(f"batch-endpoint show -n {endpoint} --query defaults.deployment_name") == '"second"'


def test_deployment__set_default_with_no_wait_is_refused(run_cli: RunCli, place: Path) -> None:
    line = "batch-deployment create -f deployment.yml --set-default --no-wait"
    answer = run_cli(*line.split())
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith("sparkscore: CONFLICTING_FLAGS: --set-default and --no-wait")


def test_deployment__validate(run: Run, endpoint: str, run_cli: RunCli) -> None:
    good = json.loads(run("batch-deployment validate -f second.yml"))
    assert good == {"result": "Succeeded", "errors": []}
    line = "batch-deployment validate -f second.yml --set model=azureml:nope:1"
    answer = run_cli(*line.split())
    assert answer.exit_code == 2
    assert json.loads(answer.out)["result"] == "Failed"


def test_deployment__compile_of_a_registered_one(run: Run, endpoint: str, place: Path) -> None:
    line = f"batch-deployment compile -e {endpoint} -n first --input in --target spark-submit"
    assert run(f"{line} -o compiled --set mini_batch_size=3") == str(place / "compiled")
    launch = json.loads((place / "compiled" / "launch.json").read_text())
    assert launch["scoring"]["mini_batch_size"] == 3


@pytest.mark.parametrize("compute", ["k8s", "k8s.yml"])
def test_deployment__compile_for_a_compute(
    run: Run, endpoint: str, place: Path, compute: str
) -> None:
    shutil.copy(COMPUTES / "kubernetes.yml", place / "k8s.yml")
    run("compute create -f k8s.yml")
    line = f"batch-deployment compile -e {endpoint} --input s3://bucket/in --target kubernetes"
    run(f"{line} -o compiled --output-path s3://bucket/out --compute {compute}")
    launch = json.loads((place / "compiled" / "launch.json").read_text())
    assert launch["job_folder"] == "s3://bucket/staging/compiled"
    assert "namespace: scoring" in (place / "compiled" / "sparkapplication.yaml").read_text()


def test_compile__compute_of_another_type(run_cli: RunCli, endpoint: str, place: Path) -> None:
    shutil.copy(COMPUTES / "kubernetes.yml", place / "k8s.yml")
    line = f"batch-deployment compile -e {endpoint} --input s3://bucket/in -o compiled"
    for target, condition in (("local", "COMPUTE_MISMATCH"), ("databricks", "COMPUTE_NEEDED")):
        answer = run_cli(*f"{line} --target {target} --compute k8s.yml".split())
        assert (answer.exit_code, answer.out) == (2, "")
        assert answer.err.startswith(f"sparkscore: {condition}: ")


@pytest.mark.parametrize(
    ("flags", "condition"),
    [
        ("", "NAME_NEEDED"),
        ("-f deployment.yml -n first", "CONFLICTING_FLAGS"),
        (f"-e {ENDPOINT} --job-folder job", "CONFLICTING_FLAGS"),
    ],
)
def test_compile__wrong_flags(run_cli: RunCli, place: Path, flags: str, condition: str) -> None:
    line = f"batch-deployment compile --input in --target local -o compiled {flags}"
    answer = run_cli(*line.split())
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith(f"sparkscore: {condition}: ")


def test_job__from_invoke_to_archive(run: Run, endpoint: str, place: Path) -> None:
    invoke = f"batch-endpoint invoke -n {endpoint} --input in --job-name nightly"
    text = run(invoke)
    assert re.search(r'"name": "([^"]*)"', text)[1] == "nightly"  # type: ignore[index]
    assert run(f"{invoke} --query name") == '"nightly"'
    assert wait_for_end(run, "nightly") == "Completed"
    assert run(f"batch-endpoint list-jobs -n {endpoint} --query [].name -o tsv") == "nightly"
    assert run(f"batch-deployment list-jobs -n first -e {endpoint} --query [].name") == (
        '[\n  "nightly"\n]'
    )
    assert "nightly: Completed" in run("job stream -n nightly")
    assert run("job stream -n nightly --query status -o tsv") == "Completed"
    assert "nightly" in run("job list -o table")
    run("job update -n nightly --set tags.kept=yes --add tags.team=a")
    assert json.loads(run("job show -n nightly --query tags")) == {"kept": "yes", "team": "a"}
    assert run("job archive -n nightly") == ""
    assert run("job list --query [].name -o tsv") == ""
    assert run("job list --archived-only --query [].name -o tsv") == "nightly"
    run("job restore -n nightly")
    assert run("job list --endpoint-name mood --query [].name -o tsv") == "nightly"
    assert run("job logs -n nightly --follow") == run("job logs -n nightly") != ""


def test_job__show_web_says_the_address(
    run: Run, run_cli: RunCli, endpoint: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = place / "opened"
    browser = place / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    name = run(f"batch-endpoint invoke -n {endpoint} --input in --query name -o tsv")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(variable, raising=False)
    answer = run_cli("job", "show", "-n", name, "-e", "--query", "name", "-o", "tsv")
    assert (answer.exit_code, answer.out) == (0, f"{name}\n")
    address = answer.err.splitlines()[0]
    assert address.startswith("http://127.0.0.1:8600/")
    assert not opened.exists()
    monkeypatch.setenv("BROWSER", str(browser))
    subprocess.run([sys.executable, "-c", START, "job", "show", "-n", name, "--web"], check=True)
    assert opened.read_text() == address


def test_job__cancel_of_one_that_ended(run: Run, run_cli: RunCli, endpoint: str) -> None:
    name = run(f"batch-endpoint invoke -n {endpoint} --input in --query name -o tsv")
    wait_for_end(run, name)
    answer = run_cli("job", "cancel", "-n", name)
    assert answer.exit_code == 5
    assert answer.err.startswith("sparkscore: JOB_ENDED: ")


@pytest.mark.parametrize(
    ("behaviour", "exit_code", "word"),
    [("complete", 0, "Completed"), ("fail", 4, "Failed"), ("die", 4, "Failed")],
)
def test_stream__exit_codes(
    run: Run,
    run_cli: RunCli,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: str,
    exit_code: int,
    word: str,
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", behaviour)
    name = run(f"batch-endpoint invoke -n {endpoint} --input in --query name -o tsv")
    answer = run_cli("job", "stream", "-n", name)
    assert answer.exit_code == exit_code, answer.err
    assert f"{name}: {word}" in answer.out
    assert "{" not in answer.err


def test_stream__of_a_job_that_is_canceled(
    run: Run, run_cli: RunCli, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DRIVER", "wait")
    name = run(f"batch-endpoint invoke -n {endpoint} --input in --query name -o tsv")
    assert json.loads(run(f"job cancel -n {name}"))["name"] == name
    answer = run_cli("job", "stream", "-n", name)
    assert answer.exit_code == 6, answer.err


def test_prune__asks_and_shows(run: Run, run_cli: RunCli, endpoint: str) -> None:
    assert run_cli("job", "prune").err.startswith("sparkscore: CONFIRMATION_NEEDED: ")
    assert run("job prune --dry-run") == "[]"
    assert run("job prune --yes") == "[]"


def test_assets__of_each_kind(run: Run, run_cli: RunCli, place: Path) -> None:
    run("model create -n mood-model -v 2 --type custom_model --path model --tags a=1 b=2")
    assert json.loads(run("model show -n mood-model --label latest --query tags")) == {
        "a": "1",
        "b": "2",
    }
    run("environment create -n env --conda-file conda.yml --image python:3.11 --version 5")
    assert run("environment show -n env -v 5 --query image -o tsv") == "python:3.11"
    run("dataset create --name more --type uri_folder --path in")
    assert run("data list -n more --query [].version -o tsv") == "1"
    run("datastore create -n store --type local --set path=in")
    assert "store" in run("datastore list --query [].name -o tsv").splitlines()
    run("datastore delete -n store --yes")
    run("compute create -n big --type amlcompute --size any --min-instances 0 --max-instances 2")
    assert run("compute show -n big --query max_instances -o tsv") == "2"
    run("compute delete --name big --yes --no-wait")
    run("data archive -n more")
    assert run("data list -o tsv --query", "[?name=='more'].name") == ""
    run("data restore -n more")
    run("data delete -n more -v 1 -y")
    answer = run_cli("data", "show", "-n", "more")
    assert (answer.exit_code, answer.out) == (5, "")


def test_delete__name_whose_versions_are_all_archived(
    run: Run, run_cli: RunCli, place: Path
) -> None:
    run("data create --name more --type uri_folder --path in")
    run("environment create -n env --conda-file conda.yml --image python:3.11")
    run("model create -n old --type custom_model --path model")
    for kind, name in (("data", "more"), ("environment", "env"), ("model", "old")):
        run(f"{kind} archive -n {name}")
        run(f"{kind} delete -n {name} --yes")
        answer = run_cli(kind, "delete", "-n", name, "--yes")
        assert (answer.exit_code, answer.out) == (5, "")
        assert answer.err.startswith(f"sparkscore: {kind.upper()}_NOT_FOUND: ")


@pytest.mark.parametrize(
    ("kind", "built_in"), [("datastore", "workspaceblobstore"), ("compute", "local")]
)
def test_archive__datastore_and_compute(
    run: Run, run_cli: RunCli, place: Path, kind: str, built_in: str
) -> None:
    extra = " --set path=in" if kind == "datastore" else ""
    run(f"{kind} create -n old --type local{extra}")
    names = f"{kind} list --query [].name -o tsv"
    assert run(f"{kind} archive -n old") == ""
    assert "old" not in run(names).splitlines()
    assert run(f"{names} --archived-only") == "old"
    assert {"old", built_in} <= set(run(f"{names} --include-archived").splitlines())
    assert run(f"{kind} show -n old --query is_archived") == "true"
    run(f"{kind} restore -n old")
    assert "old" in run(names).splitlines()
    answer = run_cli(kind, "archive", "-n", built_in)
    assert answer.err.startswith(f"sparkscore: {kind.upper()}_BUILT_IN: ")


def test_data__label_that_is_unknown(run_cli: RunCli, place: Path) -> None:
    answer = run_cli("data", "show", "-n", "texts", "--label", "newest")
    assert answer.exit_code == 5
    assert answer.err.startswith("sparkscore: LABEL_NOT_FOUND: ")


def test_workspace__show_list_create_and_init(run: Run, place: Path) -> None:
    assert run("workspace show --query name -o tsv") == "ws"
    assert run("workspace show -n other --query name -o tsv") == "other"
    run("workspace create -n third --location here -g group")
    assert run("init fourth -n four --query name -o tsv") == "four"
    assert run("batch-endpoint list -w four") == "[]"
    names = run("workspace list --query [].name -o tsv").splitlines()
    assert names == ["four", "other", "third"]


def test_configure__defaults(run: Run, run_cli: RunCli, user_folder: Path) -> None:
    assert run("configure --defaults group=g workspace=w location=here output=tsv") == ""
    assert run("configure -l --query", "[?name=='group'].value") == "g"
    assert run("group show --query name") == "g"
    assert run("configure --defaults output= group=") == ""
    assert json.loads(run("configure --list-defaults --query [].name")) == ["location", "workspace"]
    answer = run_cli("configure", "--defaults", "output=xml")
    assert answer.err.startswith("sparkscore: UNKNOWN_OUTPUT_FORMAT: ")
    assert run_cli("configure", "--defaults", "group").exit_code == 2
    (user_folder / "config.toml").write_text('[defaults]\noutput = "xml"\n')
    assert run_cli("compute", "create", "-n", "never").exit_code == 2
    assert "never" not in run("compute list -o json")


def test_account__answers_scripts(run: Run) -> None:
    assert run("account set -s 1234") == ""
    assert run("account show --query id -o tsv") == "1234"
    token = "account get-access-token --resource https://ml.azure.com --query accessToken -o tsv"
    assert run(token) != ""
    assert run("group show -g some --query id -o tsv") == "/resourceGroups/some"


def test_query__wrong_one_does_nothing(run: Run, run_cli: RunCli) -> None:
    answer = run_cli("batch-endpoint", "create", "-n", "never", "--query", "a[")
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith("sparkscore: INVALID_QUERY: ")
    assert run("batch-endpoint list") == "[]"


def test_messages__only_show_errors_and_verbose(run_cli: RunCli, place: Path) -> None:
    quiet = run_cli("compute", "list", "-w", str(place / "a"), "--only-show-errors")
    assert quiet.err == ""
    loud = run_cli("compute", "list", "-w", str(place / "b"), "--verbose")
    assert "workspace b" in loud.err


@pytest.mark.parametrize(
    "line",
    [
        f"batch-endpoint delete -n {ENDPOINT}",
        f"batch-deployment delete -n first -e {ENDPOINT}",
        "model delete -n weights",
        "data delete -n texts",
        "compute delete -n cpu-cluster",
        "datastore delete -n workspaceblobstore",
    ],
)
def test_delete__without_a_terminal_refuses(
    run: Run, run_cli: RunCli, endpoint: str, line: str
) -> None:
    answer = run_cli(*line.split())
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith("sparkscore: CONFIRMATION_NEEDED: ")
    run(line.replace("delete", "show"))
