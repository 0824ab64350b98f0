"""Looks at pages and sends their forms without a browser, and follows where they lead."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from html import unescape
from http.cookiejar import CookieJar

from tests.rest.serving import Answer


class Follower:
    """Somebody with cookies; ``studio`` is the address of Studio."""

    def __init__(self, studio: str) -> None:
        self.studio = studio
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def get(self, path: str, **headers: str) -> Answer:
        """One page, whatever its status."""
        return self._send(urllib.request.Request(f"{self.studio}{path}", headers=headers))

    def text(self, path: str) -> str:
        """The text of a page that is there."""
        answer = self.get(path)
        assert answer.status == 200, (path, answer.status)
        return answer.raw.decode()

    def log_in(self, token: str) -> None:
        """Begin a visit with a token."""
        body = urllib.parse.urlencode({"token": token}).encode()
        answer = self._send(urllib.request.Request(f"{self.studio}/login", data=body))
        assert answer.status == 200

    def post(self, path: str, **fields: str) -> Answer:
        """Send a form of a page of this visit."""
        found = re.search(r'name="csrf-token" content="([^"]+)"', self.text("/jobs"))
        assert found is not None
        body = urllib.parse.urlencode({**fields, "csrf_token": unescape(found[1])}).encode()
        return self._send(urllib.request.Request(f"{self.studio}{path}", data=body))

    def _send(self, request: urllib.request.Request) -> Answer:
        try:
            with self._opener.open(request, timeout=60) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())
