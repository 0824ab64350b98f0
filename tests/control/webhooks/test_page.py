"""What docs/webhooks.md shows works."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any

from sparkscore.control.webhooks.message import read_secrets, sign
from sparkscore.control.webhooks.settings import WEBHOOK_KEYS
from sparkscore.control.workspace_config import CONFIG_FILE, read_config

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = b'{"type":"job.completed"}'


def find_block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def make_headers(*, timestamp: int, secrets: str) -> dict[str, str]:
    keys = read_secrets(secrets, variable="S")
    signature = sign(keys, message_id="msg_a", timestamp=timestamp, body=BODY)
    return {
        "webhook-id": "msg_a",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


def test_page__settings_are_settings(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text(find_block("toml"))
    (webhook,) = read_config(tmp_path).webhooks
    assert (webhook.name, webhook.statuses) == ("pager", ("Failed",))
    keys = re.findall(r"^\| `(\w+)` \| (?:required|all) \|", PAGE, re.MULTILINE)
    assert tuple(keys) == WEBHOOK_KEYS


def test_page__receivers_code_tells_what_is_genuine() -> None:
    names: dict[str, Any] = {}
    exec(find_block("python"), names)
    is_genuine = names["is_genuine"]
    now = int(time.time())
    headers = make_headers(timestamp=now, secrets=SECRET)
    assert is_genuine(SECRET, headers, BODY)
    assert not is_genuine(SECRET, headers, BODY + b" ")
    assert not is_genuine(SECRET, {**headers, "webhook-id": "msg_b"}, BODY)
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert not is_genuine(other, headers, BODY)
    both = make_headers(timestamp=now, secrets=f"{other} {SECRET}")
    assert is_genuine(SECRET, both, BODY)
    assert is_genuine(other, both, BODY)
    assert not is_genuine(SECRET, make_headers(timestamp=now - 900, secrets=SECRET), BODY)
