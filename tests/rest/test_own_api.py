"""What stands below ``/api/v1``: all that the command line can do."""

from __future__ import annotations

import io
import itertools
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sparkscore.control.workspace import Workspace
from sparkscore.rest.app import create_app
from sparkscore.rest.config import ServerConfig
from tests.rest.serving import Client, serving

RESULTS = b"file,good\na.txt,1\n"
STORE = "azureml://datastores/workspaceblobstore/paths"


def wait_for(condition: Callable[[], Any], *, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
    return found


@pytest.fixture
def ended(api: Client, tmp_path: Path) -> str:
    """The name of a job that has completed; the fake driver says where its results are."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.csv").write_bytes(RESULTS)
    started = api.post("/endpoints/mood/invoke", {"input": f"{STORE}/in"})
    assert started.status == 201, started.raw
    name: str = started.json["name"]
    ended = wait_for(lambda: (job := api.get(f"/jobs/{name}").json)["end_time"] and job)
    assert ended["status"] == "Completed", ended["error"]
    return name


def test_endpoints__whole_life(api: Client) -> None:
    made = api.post("/endpoints", {"document": {"name": "digits"}, "set": ["description=a"]})
    assert (made.status, made.json["description"]) == (201, "a")
    changed = api.patch("/endpoints/digits", {"set": ["tags.team=b"], "remove": ["description"]})
    assert (changed.json["tags"], changed.json["description"]) == ({"team": "b"}, None)
    assert changed.headers["ETag"] != made.headers["ETag"]
    assert [one["name"] for one in api.get("/endpoints").json["value"]] == ["digits", "mood"]
    assert api.delete("/endpoints/digits").status == 204
    assert api.delete("/endpoints/digits").status == 404


def test_deployments__whole_life(api: Client) -> None:
    document = {
        "name": "mood-v2",
        "model": "azureml:weights:1",
        "code_configuration": {"code": "azureml:score:1", "scoring_script": "score.py"},
    }
    path = "/endpoints/mood/deployments"
    checked = api.post(f"{path}:validate", {"document": document}).json
    assert checked == {"result": "Succeeded", "errors": []}
    made = api.post(path, {"document": document, "set_default": True})
    assert (made.status, made.json["is_default"]) == (201, True)
    changed = api.patch(f"{path}/mood-v2", {"set": ["mini_batch_size=3"]})
    assert changed.json["settings"]["mini_batch_size"] == 3
    assert len(api.get(path).json["value"]) == 2
    compiled = api.post(f"{path}/mood-v2/compile", {"input": f"{STORE}/in"})
    assert compiled.status == 200, compiled.raw
    names = zipfile.ZipFile(io.BytesIO(compiled.raw)).namelist()
    assert "launch.json" in names
    assert api.delete(f"{path}/mood-v2?new_default=mood-v1").status == 204
    wrong = {**document, "model": "azureml:none:1"}
    assert api.post(f"{path}:validate", {"document": wrong}).json["result"] == "Failed"


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("models", {"path": f"{STORE}/model"}),
        ("environments", {"image": "a/b"}),
        ("data", {"path": f"{STORE}/in"}),
    ],
)
def test_assets__whole_life(api: Client, kind: str, document: dict[str, Any]) -> None:
    made = api.post(f"/{kind}", {"document": {"name": "thing", **document}})
    assert (made.status, made.json["version"]) == (201, "1"), made.raw
    assert api.get(f"/{kind}/thing?label=latest").json == made.json
    assert api.post(f"/{kind}/thing/archive?version=1").status == 204
    assert api.get(f"/{kind}?name=thing&archived=only").json["value"][0]["name"] == "thing"
    assert api.post(f"/{kind}/thing/restore").status == 204
    assert api.get(f"/{kind}/thing").json["version"] == "1"
    assert api.delete(f"/{kind}/thing?version=1").status == 204
    assert api.get(f"/{kind}/thing").status == 404


def test_code__is_copied(api: Client) -> None:
    body = {"document": {"name": "mine", "path": f"{STORE}/code", "tags": {"a": "b"}}}
    made = api.post("/code", body)
    assert (made.status, made.json["version"], made.json["tags"]) == (201, "1", {"a": "b"})
    assert api.post("/code", {"document": {"name": "mine"}}).code == "MISSING_FIELD"
    assert {one["name"] for one in api.get("/code").json["value"]} == {"mine", "score"}


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("computes", {"name": "big", "type": "local", "max_instances": 2}),
        ("datastores", {"name": "blobs", "type": "uri", "path": "s3://bucket/x"}),
    ],
)
def test_places__whole_life(api: Client, kind: str, document: dict[str, Any]) -> None:
    made = api.post(f"/{kind}", {"document": document})
    assert made.status == 201, made.raw
    name = document["name"]
    assert api.get(f"/{kind}/{name}").json == made.json
    assert api.post(f"/{kind}/{name}/archive").status == 204
    assert name not in [one["name"] for one in api.get(f"/{kind}").json["value"]]
    assert api.post(f"/{kind}/{name}/restore").status == 204
    assert api.delete(f"/{kind}/{name}").status == 204
    assert api.get(f"/{kind}/{name}").status == 404


def test_jobs__changed_archived_and_listed(api: Client, ended: str) -> None:
    body = {"document": {"display_name": "monday's"}, "set": ["tags.team=a"]}
    changed = api.patch(f"/jobs/{ended}", body)
    assert (changed.json["display_name"], changed.json["tags"]) == ("monday's", {"team": "a"})
    assert api.post(f"/jobs/{ended}/archive").json["is_archived"] is True
    assert api.get("/jobs").json["value"] == []
    assert [job["name"] for job in api.get("/jobs?archived=only").json["value"]] == [ended]
    assert api.post(f"/jobs/{ended}/restore").json["is_archived"] is False
    assert api.get("/jobs?status=Completed&endpoint_name=mood").json["value"][0]["name"] == ended
    assert api.get("/jobs?status=Done").code == "UNKNOWN_STATUS"
    assert api.get(f"/jobs/{ended}/queue").json == {"jobs_ahead": 0}
    assert api.post(f"/jobs/{ended}/cancel").code == "JOB_ENDED"


def test_jobs__logs_and_pruning(api: Client, ended: str) -> None:
    logs = api.get(f"/jobs/{ended}/logs")
    assert logs.headers["Content-Type"].startswith("text/plain")
    assert b"==> logs/" in logs.raw
    # Its launcher may still be leaving.
    prune = "/jobs:prune?older_than_days=0"
    told = wait_for(lambda: api.post(f"{prune}&dry_run=true").json["value"])
    assert [job["name"] for job in told] == [ended]
    assert api.get(f"/jobs/{ended}/logs").status == 200
    assert [job["name"] for job in api.post(prune).json["value"]] == [ended]
    gone = api.get(f"/jobs/{ended}/logs")
    assert (gone.status, gone.code) == (409, "JOB_PRUNED")


def test_jobs__same_key_gives_the_same_job(api: Client) -> None:
    key = {"Idempotency-Key": "monday"}
    body = {"input": f"{STORE}/in"}
    first, second = (api.post("/endpoints/mood/invoke", body, **key) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.json["name"] == second.json["name"]


def read_events(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    blocks = [block for block in raw.decode().split("\n\n") if block.startswith("event:")]
    events = []
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        events.append((fields["event"], json.loads(fields["data"])))
    return events


def test_events__follow_a_job_to_its_end(api: Client) -> None:
    name = api.post("/endpoints/mood/invoke", {"input": f"{STORE}/in"}).json["name"]
    answer = api.get(f"/jobs/{name}/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = read_events(answer.raw)
    assert [kind for kind, _ in events[-2:]] == ["status", "end"]
    assert {kind for kind, _ in events[:-1]} == {"status"}
    assert events[-2][1]["status"] == events[-1][1]["status"] == "Completed"
    statuses = [content for _, content in events[:-1]]
    assert all(one != other for one, other in itertools.pairwise(statuses))
    assert events[-1][1] == api.get(f"/jobs/{name}").json
    assert api.get("/jobs/none/events").code == "JOB_NOT_FOUND"


def test_files__listed_read_and_read_in_part(api: Client, ended: str, workspace: Workspace) -> None:
    folder = workspace.jobs.get_local_folder(ended)
    (folder / "logs" / "long.txt").write_bytes(bytes(range(256)) * 8)
    listed = {one["path"]: one for one in api.get(f"/jobs/{ended}/files").json["value"]}
    assert listed["artifacts/logs/long.txt"]["byte_count"] == 2048
    assert not [
        path for path in listed if path.startswith(("artifacts/model", "artifacts/staging"))
    ]
    for path, one in listed.items():
        answer = api.get(f"/jobs/{ended}/files/{quote(path)}")
        assert answer.status == 200
        # The launcher may still be writing its log.
        may_grow = path == "artifacts/logs/launcher.log"
        assert len(answer.raw) == one["byte_count"] or may_grow
    path = f"/jobs/{ended}/files/artifacts/logs/long.txt"
    whole = api.get(path).raw
    for header, part in {
        "bytes=0-0": whole[:1],
        "bytes=10-19": whole[10:20],
        "bytes=2000-": whole[2000:],
        "bytes=-16": whole[-16:],
        "bytes=2040-9999": whole[2040:],
    }.items():
        answer = api.get(path, Range=header)
        assert (answer.status, answer.raw) == (206, part), header
        assert answer.headers["Content-Range"].endswith("/2048")
    assert api.get(path, Range="bytes=2048-").status == 416
    assert api.get(path, Range="lines=1-2").raw == whole
    changed = api.get(path, **{"Range": "bytes=10-19", "If-Range": '"of another state"'})
    assert (changed.status, changed.raw) == (200, whole)


OUTSIDE = [
    "artifacts/../../../store.db",
    "artifacts/%2e%2e/%2e%2e/store.db",
    "artifacts//etc/passwd",
    "artifacts/logs/link.txt",
    "artifacts/logs/away/store.db",
    "artifacts/model/model/weights.bin",
    "artifacts/logs",
    "named-outputs/score/../../x",
    "named-outputs/score",
    "logs/driver.log",
]


def test_files__outside_are_not_there(api: Client, ended: str, workspace: Workspace) -> None:
    logs = workspace.jobs.get_local_folder(ended) / "logs"
    (logs / "link.txt").symlink_to(workspace.folder / "store.db")
    (logs / "away").symlink_to(workspace.folder)
    for path in OUTSIDE:
        answer = api.get(f"/jobs/{ended}/files/{path}")
        assert (answer.status, answer.code) == (404, "FILE_NOT_FOUND"), path
    assert api.get(f"/jobs/{ended}/files/artifacts/logs/a%00b").status == 400
    listed = [one["path"] for one in api.get(f"/jobs/{ended}/files").json["value"]]
    assert not [one for one in listed if "link" in one or "away" in one]


def test_download__is_a_zip_file(api: Client, ended: str, workspace: Workspace) -> None:
    answer = api.get(f"/jobs/{ended}/download?all=true")
    assert answer.status == 200, answer.raw
    archive = zipfile.ZipFile(io.BytesIO(answer.raw))
    assert "artifacts/summary.json" in archive.namelist()
    assert archive.read("named-outputs/score/predictions.csv") == RESULTS
    part = api.get(f"/jobs/{ended}/files/named-outputs/score/predictions.csv", Range="bytes=0-3")
    assert (part.status, part.raw) == (206, RESULTS[:4])
    some = api.get(f"/jobs/{ended}/download?all=true", Range="bytes=0-3")
    assert (some.status, some.raw, some.headers["Accept-Ranges"]) == (206, b"PK\3\4", "bytes")
    missing = api.get(f"/jobs/{ended}/download?output_name=none")
    assert (missing.status, missing.code) == (404, "OUTPUT_NOT_FOUND")


def test_download__leaves_links_out(api: Client, ended: str, workspace: Workspace) -> None:
    logs = workspace.jobs.get_local_folder(ended) / "logs"
    (logs / "link.txt").symlink_to(workspace.folder / "store.db")
    (logs / "away").symlink_to(workspace.folder)
    (logs / "nowhere").symlink_to(workspace.folder / "none")
    answer = api.get(f"/jobs/{ended}/download?all=true")
    assert answer.status == 200, answer.raw
    names = zipfile.ZipFile(io.BytesIO(answer.raw)).namelist()
    assert "artifacts/logs/driver.log" in names
    assert not [name for name in names if "link" in name or "away" in name or "nowhere" in name]


def test_download__with_odd_names_and_times(api: Client, ended: str, workspace: Workspace) -> None:
    logs = workspace.jobs.get_local_folder(ended) / "logs"
    odd = logs / "caf\udce9 é.txt"
    odd.write_text("odd")
    os.utime(odd, (0, 0))
    answer = api.get(f"/jobs/{ended}/download?all=true")
    assert answer.status == 200, answer.raw
    assert zipfile.ZipFile(io.BytesIO(answer.raw)).read("artifacts/logs/caf%E9 é.txt") == b"odd"


def make_zip(files: dict[str, bytes], **attributes: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = attributes.get("mode", 0o644) << 16
            archive.writestr(member, content)
    return stream.getvalue()


ZIP = {"Content-Type": "application/zip"}


def test_upload__folder_is_scored(api: Client, workspace: Workspace) -> None:
    raw = make_zip({"a.txt": b"1", "sub/b.txt": b"2"})
    sent = api.post("/uploads?name=monday", raw, **ZIP)
    assert sent.status == 201, sent.raw
    assert (sent.json["file_count"], sent.json["byte_count"]) == (2, 2)
    assert sent.json["path"].startswith(f"{STORE}/LocalUpload/")
    assert sent.json["path"].endswith("/monday")
    assert api.post("/uploads?name=monday", raw, **ZIP).json == sent.json
    started = api.post("/endpoints/mood/invoke", {"input": sent.json["path"]})
    assert started.status == 201, started.raw
    uploads = [path for path in (workspace.folder / "cache").rglob("*") if path.is_file()]
    assert [path for path in uploads if "received" in path.name] == []


def test_upload__one_file_and_code(api: Client) -> None:
    octets = {"Content-Type": "application/octet-stream"}
    sent = api.post("/uploads?name=one.txt", b"text", **octets)
    assert (sent.status, sent.json["file_count"]) == (201, 1)
    code = api.post("/uploads?name=code", make_zip({"score.py": b"def init(): ...\n"}), **ZIP)
    body = {"document": {"name": "sent", "path": code.json["path"]}}
    assert api.post("/code", body).status == 201


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"no zip file", "ARCHIVE_NOT_READABLE"),
        (make_zip({}), "EMPTY_UPLOAD"),
        (make_zip({"../x": b""}), "ARCHIVE_REFUSED"),
        (make_zip({"/etc/x": b""}), "ARCHIVE_REFUSED"),
        (make_zip({"a/../../x": b""}), "ARCHIVE_REFUSED"),
        (make_zip({"a\\..\\x": b""}), "ARCHIVE_REFUSED"),
        (make_zip({"link": b"/etc/passwd"}, mode=0o120777), "ARCHIVE_REFUSED"),
        (make_zip({"a": b"", "a/b": b""}), "ARCHIVE_REFUSED"),
        (make_zip({"bomb": bytes(80_000_000)}), "ARCHIVE_REFUSED"),
    ],
)
def test_upload__of_nothing_good(api: Client, workspace: Workspace, raw: bytes, code: str) -> None:
    before = sorted(path for path in workspace.folder.rglob("*") if path.is_file())
    answer = api.post("/uploads?name=thing", raw, **ZIP)
    assert (answer.status, answer.code) == (400, code)
    after = sorted(path for path in workspace.folder.rglob("*") if path.is_file())
    assert [path for path in after if path not in before and "audit" not in path.name] == []


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden"])
def test_upload__by_a_name_that_is_none(api: Client, name: str) -> None:
    answer = api.post(f"/uploads?name={quote(name, safe='')}", make_zip({"a": b""}), **ZIP)
    assert (answer.status, answer.code) == (400, "INVALID_ASSET_NAME")


RIGHTS: list[tuple[dict[str, Any], int]] = [
    ({}, 201),
    ({"set": ["mini_batch_size=2", "retry_settings.timeout=5", "timeout=9"]}, 201),
    ({"set": ["environment_variables.PYTHONPATH=/tmp"]}, 403),
    ({"set": ["settings.environment_variables.A=1"]}, 403),
    ({"set": ["isolation=inline"]}, 403),
    ({"set": ["spark_conf.spark.executor.memory=1g"]}, 403),
    ({"set": ["Environment-Variables.A=1"]}, 403),
    ({"conf": ["spark.executor.memory=1g"]}, 403),
    ({"compute": "local[1]"}, 403),
]


def test_rights__of_an_invoker(workspace: Workspace) -> None:
    token = workspace.tokens.create(role="invoker").secret
    with serving(create_app(workspace, ServerConfig())) as address:
        api = Client(address, "/api/v1", token=token)
        for body, status in RIGHTS:
            answer = api.post("/endpoints/mood/invoke", {"input": f"{STORE}/in", **body})
            assert answer.status == status, (body, answer.raw)


def test_bodies__unknown_members_are_refused(api: Client) -> None:
    answer = api.post("/endpoints/mood/invoke", {"input": f"{STORE}/in", "inputt": "x"})
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
