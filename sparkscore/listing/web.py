"""Lists files of web servers: one file, or folders whose server shows an index. Any process.

An index is an HTML page with links, as those of nginx, Apache and Python's own server. Names are
percent-decoded; ``storage.child_path`` encodes them again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from sparkscore.errors import PlanError
from sparkscore.listing.columns import FileColumns
from sparkscore.listing.filters import NameFilter, Skipped
from sparkscore.listing.location import not_found, not_readable
from sparkscore.storage import child_path, get_etag

_MAX_DEPTH = 64
_REQUESTS_AT_ONCE = 16


class WebInput:
    """A file or folder behind ``http://`` or ``https://``; ``root`` is the folder's URL."""

    def __init__(self, uri: str, store: Any, path: str, names: NameFilter) -> None:
        self._uri, self._store, self._names = uri, store, names
        self._skipped = Skipped()
        if "?" in uri:
            raise PlanError(
                f"input {uri} has a query string, which is no part of a file's name: name a file "
                "or a folder",
                condition="INPUT_NOT_SUPPORTED",
                uri=uri,
            )
        is_root = "/" not in path.partition("://")[2]
        given = f"{path}/" if is_root or uri.endswith("/") else path
        self._info = self._get_info(given)
        self.is_folder = str(self._info.get("url") or given).endswith("/")
        self.root = path if self.is_folder else path.rpartition("/")[0]
        self._name = unquote(path.rpartition("/")[2], errors="surrogateescape")

    def list_files(self, columns: FileColumns, *, limit: int | None) -> Skipped:
        """Appends the first ``limit`` files by path; returns how many names it skipped."""
        if self.is_folder:
            paths = sorted(self._crawl(stops_at_file=False))[:limit]
            with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
                found = dict(zip(paths, pool.map(self._find_info, paths), strict=True))
        else:
            found = {self._name: self._info} if self._takes(self._name) else {}
        for path, info in found.items():
            columns.append(path, int(info.get("size") or 0), get_etag(info) if info else "")
        return self._skipped

    def skip_to_file(self) -> Skipped | None:
        """None if there is a file to score, else how many names were skipped."""
        if self.is_folder:
            return None if self._crawl(stops_at_file=True) else self._skipped
        return None if self._takes(self._name) else self._skipped

    def _takes(self, path: str) -> bool:
        is_taken = self._names.takes(path)
        self._skipped.filtered += not is_taken
        return is_taken

    def _crawl(self, *, stops_at_file: bool) -> list[str]:
        files: list[str] = []
        folders = [""]
        while folders and not (stops_at_file and files):
            folder = folders.pop()
            if folder.count("/") > _MAX_DEPTH:
                error = RecursionError(f"folders nest more than {_MAX_DEPTH} deep")
                raise not_readable(self._uri, error, path=folder)
            for name in self._read_index(folder):
                if self._names.hides(name):
                    self._skipped.hidden += 1
                elif not name.endswith("/"):
                    files += [folder + name] if self._takes(folder + name) else []
                elif self._names.enters(folder + name):
                    folders.append(folder + name)
        return files

    def _read_index(self, folder: str) -> list[str]:
        url = child_path(self._store, self.root, folder)
        try:
            page = self._store.cat_file(url).decode("utf-8", "surrogateescape")
        except FileNotFoundError as error:
            raise not_found(self._uri, nearest=self.root) from error
        except Exception as error:
            raise not_readable(self._uri, error, path=url) from None
        return find_names(page, url)

    def _get_info(self, url: str) -> dict[str, Any]:
        try:
            return dict(self._store.info(url))
        except FileNotFoundError as error:
            raise not_found(self._uri, nearest=None) from error
        except Exception as error:
            raise not_readable(self._uri, error, path=url) from None

    def _find_info(self, path: str) -> dict[str, Any]:
        """Empty for a file that cannot be asked about: it fails, by name, when it is scored."""
        try:
            return dict(self._store.info(child_path(self._store, self.root, path)))
        except Exception:
            return {}


def find_names(page: str, url: str) -> list[str]:
    """The names directly below the folder ``url`` that its index links to; folders end with /."""
    parser = _Links()
    parser.feed(page)
    base = urlsplit(url)
    names: dict[str, None] = {}
    for link in parser.links:
        try:
            target = urlsplit(urljoin(url, link))
        except ValueError:
            continue
        if (target.netloc, target.query) != (base.netloc, ""):
            continue
        path, folder = (unquote(part.path, errors="surrogateescape") for part in (target, base))
        name = path.removeprefix(folder)
        if path != name and name and "/" not in name[:-1]:
            names[name] = None
    return list(names)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]
