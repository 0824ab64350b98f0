"""What a webhook says, and its signature."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from sparkscore.control.webhooks.message import make_message_id, read_secrets, sign
from sparkscore.errors import InvalidFieldError
from tests.control.jobs.conftest import make_record
from tests.servers.receiver import SECRET

OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def test_signature__is_that_of_the_specifications_example() -> None:
    signature = sign(
        read_secrets(SECRET, variable="S"),
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_signature__of_each_secret_while_they_change() -> None:
    keys = read_secrets(f"{SECRET} {OTHER}", variable="S")
    both, first, second = (
        sign(some, message_id="msg_a", timestamp=1, body=b"{}")
        for some in (keys, keys[:1], keys[1:])
    )
    assert both.split(" ") == [first, second]


@pytest.mark.parametrize(
    "text", ["", " ", "whsec_", "whsec_c2hvcnQ=", "not base64!", f"{SECRET} x"]
)
def test_secret__that_is_none(text: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        read_secrets(text, variable="SECRET_OF_OURS")
    assert caught.value.condition == "INVALID_WEBHOOK_SECRET"
    assert caught.value.attributes["variable"] == "SECRET_OF_OURS"


def test_id__is_of_one_end_of_one_job() -> None:
    record = make_record(created_at=1.0, ended_at=2.0)
    same = make_message_id("ws", dataclasses.replace(record, updated_at=9.0))
    assert make_message_id("ws", record) == same
    assert same.startswith("msg_")
    others = {
        make_message_id("ws", dataclasses.replace(record, ended_at=3.0)),
        make_message_id("ws", dataclasses.replace(record, name="other")),
        make_message_id("other", record),
    }
    assert len(others | {same}) == 4
