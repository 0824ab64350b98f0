"""Pages of models, data, environments, datastores and computes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from sparkscore.control.workspace import Workspace
from tests.studio.looks import check_looks
from tests.studio.visitor import Visitor, visiting

HOSTILE = "<script>alert('x')</script> \"quotes\" & 🙂 " + "long" * 100
HOSTILE_FILE = '<img src=x onerror=alert(1)> "q" \'🙂.png'
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360f8cfc000000301010018dd8db00000000049454e44ae426082"
)


@pytest.fixture
def stocked(workspace: Workspace) -> Workspace:
    """With one of each kind, said and tagged in a hostile way."""
    store = Path(workspace.datastores.get_default().uri)
    (store / "pictures").mkdir()
    (store / "pictures" / HOSTILE_FILE).write_bytes(PNG)
    (store / "pictures" / "t.csv").write_text(f'name\n"{HOSTILE.replace(chr(34), "")}"\n')
    told = {"description": HOSTILE, "tags": {HOSTILE: HOSTILE}}
    workspace.models.create({"name": "told", "path": str(store / "model"), **told})
    workspace.data.create({"name": "pictures", "path": str(store / "pictures"), **told})
    workspace.environments.create({"name": "env", "conda_file": {"name": HOSTILE}, **told})
    workspace.environments.create({"name": "pip", "requirements": [f"six  # {HOSTILE}"], **told})
    workspace.computes.create({"name": "far", "type": "spark", "master": "spark://h:1", **told})
    pods = {"name": "pods", "type": "kubernetes", "image": "i", "staging": "s3://b", **told}
    workspace.computes.create({**pods, "node_selector": {HOSTILE: HOSTILE}, "page_url": HOSTILE})
    workspace.datastores.create({"name": "lake", "type": "s3", "bucket": "b", **told})
    return workspace


@pytest.fixture
def visitor(stocked: Workspace) -> Iterator[Visitor]:
    with visiting(stocked) as found:
        yield found


PAGES = [
    *("/models", "/models/told", "/models/told/1", "/data", "/data/pictures", "/data/pictures/1"),
    *("/environments", "/environments/env", "/environments/env/1", "/computes", "/computes/far"),
    "/environments/pip/1",
    *(
        "/computes/pods",
        "/computes/local",
        "/datastores",
        "/datastores/lake",
        "/datastores/workspaceblobstore",
    ),
]


def test_pages__show_hostile_texts_as_texts(visitor: Visitor) -> None:
    for path in PAGES:
        seen = visitor.get(path)
        assert seen.status == 200, path
        for text in ("<script>alert", "<img src=x"):
            assert text not in seen.text, path
        is_told = not path.endswith(("local", "workspaceblobstore"))
        assert ("&lt;script&gt;alert" in seen.text) == is_told, path


def test_searches__repeat_hostile_texts_as_texts(visitor: Visitor) -> None:
    for path in ("/models", "/computes"):
        seen = visitor.get(f"{path}?q={quote(chr(34) + '><script>x')}&page=%22%3E")
        assert (seen.status, '"><script>' in seen.text) == (200, False)
        assert "Nothing found" in seen.text


def test_forms__give_back_what_was_typed_as_text(visitor: Visitor) -> None:
    for kind in ("models", "data", "environments", "computes", "datastores"):
        fields = {"name": HOSTILE, "description": HOSTILE, "tags": HOSTILE, "type": HOSTILE}
        seen = visitor.send(f"/{kind}/register", {**fields, "uploaded": HOSTILE, "path": HOSTILE})
        assert seen.status == 422, kind
        assert "<script>alert" not in seen.text
        assert "&lt;script&gt;alert" in seen.text


def test_models__of_mlflow_may_have_any_name(stocked: Workspace, visitor: Visitor) -> None:
    name = '<b>"it\'s" 🙂 & 100%?#'
    client = stocked.models.mlflow.client
    client.create_registered_model(name)
    client.create_model_version(name, source=stocked.models.get("told").path)
    segment = quote(name, safe="")
    assert f'href="/studio/models/{segment}"' in visitor.get("/models").text
    assert visitor.get(f"/models/{segment}").status == 200
    seen = visitor.get(f"/models/{segment}/1")
    assert (seen.status, "<b>" in seen.text) == (200, False)
    assert f"/studio/create?model={segment}%3A1" in seen.text
    assert visitor.send(f"/models/{segment}/1/archive").place == f"/studio/models/{segment}/1"


def test_lists__search_and_show_archived_on_demand(stocked: Workspace, visitor: Visitor) -> None:
    assert visitor.send("/models/told/1/archive").status == 303
    assert "Model told version 1 is archived." in visitor.get("/models/told/1").text
    assert stocked.models.get("told", "1").is_archived
    assert "/models/told" not in visitor.get("/models").text
    assert "/models/told" in visitor.get("/models?archived=true").text
    assert "/models/weights" not in visitor.get("/models?archived=true&q=TOLD").text
    assert visitor.send("/models/told/1/restore").status == 303
    assert "/models/told" in visitor.get("/models?q=alert").text


def test_lists__have_pages(stocked: Workspace, visitor: Visitor) -> None:
    for number in range(101):
        stocked.computes.create(name=f"c{number:03}", type="local")
    first, second = visitor.get("/computes"), visitor.get("/computes?page=1")
    assert ("/computes/c000" in first.text, "/computes/c000" in second.text) == (True, False)
    assert ("/computes/local" in first.text, "/computes/local" in second.text) == (False, True)
    assert 'href="?page=1"' in first.text
    assert visitor.get("/computes?page=99999999999999999999").status == 200


@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/models/told/1", "/models"),
        ("/data/pictures/1", "/data"),
        ("/environments/env/1", "/environments"),
        ("/computes/far", "/computes"),
        ("/datastores/lake", "/datastores"),
    ],
)
def test_assets__are_archived_restored_and_deleted(visitor: Visitor, path: str, back: str) -> None:
    for verb in ("archive", "restore"):
        assert visitor.send(f"{path}/{verb}").place == f"/studio{path}"
        assert ("This is archived" in visitor.get(path).text) == (verb == "archive")
    assert visitor.send(f"{path}/delete").place == f"/studio{back}"
    assert visitor.get(path).status == 404
    assert visitor.send(f"{path}/delete").status == 404


def test_built_in_places__cannot_be_changed(visitor: Visitor) -> None:
    for path in ("/computes/local", "/datastores/workspaceblobstore"):
        text = visitor.get(path).text
        assert "/archive" not in text
        assert "/register?" not in text
        assert visitor.send(f"{path}/delete").status == 409


@pytest.mark.parametrize("role", ["reader", "contributor"])
def test_buttons__are_there_for_who_may(stocked: Workspace, role: str) -> None:
    with visiting(stocked, role) as visitor:
        may = role == "contributor"
        for path in ("/models", "/models/told", "/models/told/1", "/computes", "/computes/far"):
            text = visitor.get(path).text.partition("<main")[2]
            assert ("/register" in text or "/archive" in text) == may, path
        assert "/archive" not in visitor.get("/datastores/lake").text
        assert "/datastores/register" not in visitor.get("/datastores").text
        assert ("/create?model=told%3A1" in visitor.get("/models/told/1").text) == may


def test_images__are_shown_and_nothing_else_is(visitor: Visitor) -> None:
    seen = visitor.get(f"/data/pictures/1/image?path={quote(HOSTILE_FILE)}")
    assert (seen.status, seen.headers["Content-Type"]) == (200, "image/png")
    assert "sandbox" in seen.headers["Content-Security-Policy"]
    for path in ("t.csv", "../model/weights.bin", "/etc/passwd", ""):
        assert visitor.get(f"/data/pictures/1/image?path={quote(path)}").status == 404


def test_data__that_cannot_be_read_has_a_page_that_says_so(
    stocked: Workspace, visitor: Visitor
) -> None:
    folder = Path(stocked.datastores.get_default().uri) / "gone"
    folder.mkdir()
    stocked.data.create(name="gone", path=str(folder))
    folder.rmdir()
    seen = visitor.get("/data/gone/1")
    assert seen.status == 200
    assert 'role="alert"' in seen.text


def test_data__in_a_store_is_looked_at_by_a_part_of_its_own(
    stocked: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    stocked.places = None
    with serving_files(tmp_path) as address, visiting(stocked, allowed_hosts=("127.0.0.1",)) as one:
        stocked.data.create(name="far", path=f"{address}/a.csv", type="uri_file")
        text = one.get("/data/far/1").text
        assert 'hx-get="/studio/data/far/1/look"' in text
        assert "First rows" not in text
        for path in ("/data/far/1/look", "/data/far/1?look=true"):
            assert "The first 1 row of a.csv" in one.get(path).text
        (tmp_path / "a.csv").unlink()
        assert 'role="alert"' in one.get("/data/far/1/look").text


@contextmanager
def serving_files(folder: Path) -> Iterator[str]:
    """The address of a web server of a folder."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Writes no log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing."""


def test_registering__leads_to_the_new_page(stocked: Workspace, visitor: Visitor) -> None:
    place = "azureml://datastores/workspaceblobstore/paths/in"
    seen = visitor.send("/data/register", {"name": "n", "source": "path", "path": place})
    assert seen.place == "/studio/data/n/1"
    assert "8 files" in visitor.get("/data/n/1").text
    fields = {"name": "c", "type": "spark", "master": "spark://h:7077"}
    assert visitor.send("/computes/register", fields).place == "/studio/computes/c"
    assert stocked.computes.get("c").master == "spark://h:7077"


def test_unknown_names__have_a_page_that_says_so(visitor: Visitor) -> None:
    for path in ("/models/none", "/models/told/9", "/data/none/1", "/computes/none"):
        seen = visitor.get(path)
        assert (seen.status, "NOT_FOUND" in seen.text) == (404, True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["models", "data", "environments", "computes", "datastores"])
def test_pages__look_right(stocked: Workspace, studio: str, page: Page, kind: str) -> None:
    del stocked
    for path in (*(one for one in PAGES if one.startswith(f"/{kind}")), f"/{kind}/register"):
        page.goto(f"{studio}{path}")
        check_looks(page)
