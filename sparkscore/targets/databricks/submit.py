"""Runs on a Databricks workspace, through databricks-sdk. Control plane; all I/O of the target."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sparkscore import __version__
from sparkscore.errors import MissingDependencyError, SubmitError
from sparkscore.targets.base import CompiledApplication, RemoteRun, RemoteStatus
from sparkscore.targets.connections import find_connect_failure
from sparkscore.targets.databricks.compile import SUBMIT_FILE
from sparkscore.targets.databricks.credentials import find_profile
from sparkscore.targets.databricks.run_status import read_status

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

REQUEST_TIMEOUT_SECONDS = 20.0
RETRY_TIMEOUT_SECONDS = 40
PROBE_TIMEOUT_SECONDS = 5
"""How long the client looks for what the host says of itself, which is optional."""

LONGEST_WAIT_SECONDS = 10.0
"""Longest time between two tries, whatever a busy workspace asks for."""

_API = "/api/2.2/jobs/runs"
_LONGEST_TOKEN = 64
_DIGEST_LENGTH = 24

Answer = TypeVar("Answer")


@dataclass
class _Attempts:
    """What is known of the tries of one request; ``was_sent``: one may have reached the host."""

    was_sent: bool = False


class DatabricksPlatform:
    """The Jobs API of one workspace, with the credentials of this process's environment.

    One request takes at most a minute, with its retries; if nothing can connect, it is not repeated
    here.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self._client: WorkspaceClient | None = None
        self._attempts = _Attempts()

    def submit(self, compiled: CompiledApplication, *, name: str) -> RemoteRun:
        """Start a run; the same name with the same files is the same run, even when it ended.

        Raises SubmitError or MissingDependencyError.
        """
        body = json.loads(compiled.files[SUBMIT_FILE])
        body["idempotency_token"] = make_token(name, body)
        answer = self._ask(f"{_API}/submit", method="POST", body=body)
        run_id = answer.get("run_id")
        if not isinstance(run_id, int):
            raise self._unreachable(f"its answer has no run id: {answer!r}"[:200])
        return RemoteRun(str(run_id), self._find_url(run_id))

    def get_status(self, run_id: str) -> RemoteStatus:
        """How the run stands. Raises SubmitError, RUN_NOT_FOUND if the workspace lost it."""
        return read_status(self._get_run(run_id))

    def cancel(self, run_id: str) -> None:
        """End the run and its cluster; without effect once it has ended."""
        self._ask(f"{_API}/cancel", method="POST", body={"run_id": int(run_id)}, run_id=run_id)

    def _get_run(self, run_id: str) -> Mapping[str, Any]:
        return self._ask(f"{_API}/get", method="GET", query={"run_id": run_id}, run_id=run_id)

    def _find_url(self, run_id: int) -> str | None:
        """The run's page; a run that started is not lost for want of it."""
        try:
            return read_status(self._get_run(str(run_id))).url
        except SubmitError:
            return None

    def _ask(
        self,
        path: str,
        *,
        method: str,
        run_id: str | None = None,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """One request, as the compiled file says it: the client's own classes drop what they do
        not know.
        """
        answer = self._call(
            lambda: self._get_client().api_client.do(
                method,
                path,
                body=None if body is None else dict(body),
                query=None if query is None else dict(query),
                headers={"Accept": "application/json"},
            ),
            run_id=run_id,
        )
        if not isinstance(answer, dict):
            raise self._unreachable("its answer is no JSON object")
        return answer

    def _get_client(self) -> WorkspaceClient:
        if self._client is None:
            self._client = _open_client(self.host, self._attempts)
        return self._client

    def _call(self, request: Callable[[], Answer], *, run_id: str | None) -> Answer:
        require_sdk()
        from databricks.sdk import errors
        from databricks.sdk.core import DatabricksError

        self._attempts.was_sent = False
        try:
            return request()
        except (errors.Unauthenticated, errors.PermissionDenied) as error:
            raise self._denied(_first_line(error)) from error
        except DatabricksError as error:
            if run_id is not None and _is_lost(error):
                raise _lost(run_id, host=self.host, reason=_first_line(error)) from error
            if isinstance(
                error, errors.BadRequest | errors.ResourceDoesNotExist | errors.ResourceConflict
            ):
                raise self._refused(_first_line(error)) from error
            raise self._unreachable(_first_line(error)) from error
        except OSError as error:
            last = error.__cause__ or error
            failure = find_connect_failure(last)
            was_sent = failure is None or self._attempts.was_sent
            raise self._unreachable(failure or _first_line(last), was_sent=was_sent) from error
        except ValueError as error:  # no credentials, or an answer that is no JSON
            raise self._denied(_first_line(error)) from error

    def _denied(self, reason: str) -> SubmitError:
        return SubmitError(
            f"{self.host} refuses the credentials of this environment ({reason}): set "
            "DATABRICKS_HOST with DATABRICKS_TOKEN, or with DATABRICKS_CLIENT_ID and "
            "DATABRICKS_CLIENT_SECRET, of somebody who may run jobs there",
            condition="PLATFORM_DENIED",
            host=self.host,
        )

    def _refused(self, reason: str) -> SubmitError:
        return SubmitError(
            f"{self.host} refuses the run: {reason}", condition="RUN_REFUSED", host=self.host
        )

    def _unreachable(self, reason: str, *, was_sent: bool = True) -> SubmitError:
        return SubmitError(
            f"{self.host} does not answer as a workspace does ({reason}): check the host of the "
            "compute, and try again",
            condition="PLATFORM_UNREACHABLE",
            host=self.host,
            was_sent=was_sent,
        )


def make_token(name: str, body: Mapping[str, Any]) -> str:
    """The idempotency token of a submission: 64 characters at most, readable as far as it goes.

    Made of the name and of the launch message's place, so that jobs of one name in two staging
    folders are two runs.
    """
    launch = body["tasks"][0]["spark_python_task"]["parameters"][0]
    digest = hashlib.sha256(f"{name}\0{launch}".encode()).hexdigest()[:_DIGEST_LENGTH]
    words = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[: _LONGEST_TOKEN - _DIGEST_LENGTH - 1]
    return f"{words}-{digest}"


def require_sdk() -> None:
    """Raise MissingDependencyError, which says what to install, unless the client is there."""
    if importlib.util.find_spec("databricks") is None or not importlib.util.find_spec(
        "databricks.sdk"
    ):
        raise MissingDependencyError(
            "jobs on Databricks need the package databricks-sdk: pip install "
            "'sparkscore[databricks]'",
            condition="DATABRICKS_SDK_MISSING",
        )


def _open_client(host: str, attempts: _Attempts) -> WorkspaceClient:
    """A client that gives up soon. Raises ValueError without usable credentials."""
    profile = find_profile(host, os.environ)
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.clock import RealClock
    from databricks.sdk.core import Config

    class ShortSleeps(RealClock):
        def sleep(self, seconds: float) -> None:
            failed = sys.exc_info()[1]  # the client sleeps while it handles what failed
            if failed is not None and find_connect_failure(failed) is not None:
                raise TimeoutError(str(failed)) from failed
            attempts.was_sent = True
            super().sleep(min(seconds, LONGEST_WAIT_SECONDS))

    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    config = Config(
        host=host,
        profile=profile,
        product="sparkscore",
        product_version=__version__,
        clock=ShortSleeps(),
        http_timeout_seconds=REQUEST_TIMEOUT_SECONDS,
        retry_timeout_seconds=PROBE_TIMEOUT_SECONDS,
    )
    config.retry_timeout_seconds = RETRY_TIMEOUT_SECONDS
    return WorkspaceClient(config=config)


def _lost(run_id: str, *, host: str, reason: str) -> SubmitError:
    return SubmitError(
        f"{host} has no run {run_id} any more: {reason}", condition="RUN_NOT_FOUND", run_id=run_id
    )


def _is_lost(error: Exception) -> bool:
    """Whether the workspace says that it has no such run; it has two ways to say so."""
    from databricks.sdk import errors

    if isinstance(error, errors.ResourceDoesNotExist):
        return True
    return isinstance(error, errors.BadRequest) and "does not exist" in str(error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
