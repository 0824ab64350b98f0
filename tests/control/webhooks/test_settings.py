"""``[webhooks.NAME]`` in ``sparkscore.toml``."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkscore.control.webhooks.settings import Webhook
from sparkscore.control.workspace_config import CONFIG_FILE, WorkspaceConfig, read_config
from sparkscore.errors import SpecError

BASE = '[webhooks.team]\nurl = "https://example.net/hook?key=a"\nsecret_variable = "S"\n'


def read(folder: Path, text: str) -> WorkspaceConfig:
    (folder / CONFIG_FILE).write_text(text)
    return read_config(folder)


def test_webhooks__as_written(tmp_path: Path) -> None:
    text = BASE + '[webhooks.pager]\nurl = "http://10.0.0.5:9/x"\nsecret_variable = "P_1"\n'
    found = read(tmp_path, text + 'statuses = ["Failed"]\n').webhooks
    assert found == (
        Webhook(name="team", url="https://example.net/hook?key=a", secret_variable="S"),
        Webhook(
            name="pager", url="http://10.0.0.5:9/x", secret_variable="P_1", statuses=("Failed",)
        ),
    )
    assert found[0].statuses == ("Completed", "Failed", "Canceled")
    assert "key=a" not in repr(found)


def test_webhooks__none(tmp_path: Path) -> None:
    assert read(tmp_path, "").webhooks == ()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[webhooks]\nurl = "https://a"\n', "webhooks"),
        ("webhooks = 1\n", "webhooks"),
        ('[webhooks."../x"]\nurl = "https://a"\n', "webhooks"),
        ('[webhooks.a]\nsecret_variable = "S"\n', "webhooks.a.url"),
        (BASE.replace("https://", "file:///"), "webhooks.team.url"),
        (BASE.replace("https://", "https://user:word@"), "webhooks.team.url"),
        (BASE.replace("https://example.net", "https://"), "webhooks.team.url"),
        (BASE.replace("example.net", "example.net:x"), "webhooks.team.url"),
        (BASE.replace('"S"', '"whsec_abc="'), "webhooks.team.secret_variable"),
        (BASE + "statuses = []\n", "webhooks.team.statuses"),
        (BASE + 'statuses = ["Running"]\n', "webhooks.team.statuses"),
        (BASE + "statuses = [{}]\n", "webhooks.team.statuses"),
        (BASE + 'secret = "x"\n', "secret"),
    ],
)
def test_webhooks__that_are_wrong(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text)
    assert caught.value.attributes["key"] == key
    assert "word" not in caught.value.message
