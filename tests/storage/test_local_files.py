"""New files in folders, by several at once."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparkscore.storage.local_files import put_new_here


def refuse_links(source: str, target: str) -> None:
    del source, target
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.parametrize("has_links", [True, False])
def test_put_new_here__lets_one_of_many_win(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", refuse_links)
    for one in range(8):
        (tmp_path / f"from-{one}").write_text(str(one))
    target = tmp_path / "out" / "name"
    target.parent.mkdir()

    def put(one: int) -> int | None:
        try:
            put_new_here(str(tmp_path / f"from-{one}"), str(target))
        except FileExistsError:
            return None
        return one

    for _ in range(50):
        target.unlink(missing_ok=True)
        with ThreadPoolExecutor(8) as pool:
            won = [one for one in pool.map(put, range(8)) if one is not None]
        assert [target.read_text()] == [str(one) for one in won]
    assert os.listdir(target.parent) == ["name"]
