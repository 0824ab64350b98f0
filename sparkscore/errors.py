"""The error tree, used in every process. Standard library only.

SparkscoreError                        exit code
├── SpecError (ValueError)                  2     what the user wrote
│   ├── MalformedDocumentError                    not YAML, not UTF-8, not a mapping
│   ├── UnknownFieldError                         a key that no field has
│   ├── InvalidFieldError                         a value that its field refuses
│   └── UnresolvedReferenceError                  model, code or script that is not there
├── PlanError (ValueError)                  2     what the job was given
│   ├── InputNotFoundError
│   ├── EmptyInputError
│   └── OutputNotWritableError
├── TargetError                             3     where the job should run
│   ├── UnknownTargetError
│   ├── UnsupportedByTargetError
│   ├── MissingDependencyError                    Java, a jar or an extra is missing
│   └── SubmitError
├── ScoringError                            4     the job ran and failed
│   ├── ScoringScriptError                        no mini-batch can succeed
│   ├── InvalidScoringResultError
│   ├── ErrorThresholdExceededError
│   ├── NoSuccessfulInputError
│   ├── PublishError
│   └── StorageError                              no space, read-only or vanished storage
├── StateError                              5     what is already there, or is not
│   ├── NotFoundError
│   ├── AlreadyExistsError
│   ├── InvalidTransitionError
│   └── PreconditionFailedError                   not as the caller had read it
├── CanceledError                           6     the job was canceled
├── MessageError (ValueError)               2     a message file that cannot be read
└── UsageError (ValueError)                 2     flags that do not go together, a query, no answer
    └── RequestError                              an HTTP request that no use case was asked for

Every error has a stable ``condition`` (upper-case words), attributes that can be written as JSON,
and a message that says what happened, where, and what to do. Expected errors are shown as one
line; anything else is a bug and stays a traceback. HTTP clients get the class's ``http_status``,
or that of the condition in HTTP_STATUSES.
"""

from __future__ import annotations

from typing import Any

HTTP_STATUSES: dict[str, int] = {
    "BODY_TOO_LARGE": 413,
    "BODY_TOO_SLOW": 408,
    "FORBIDDEN": 403,
    "FORGED_REQUEST": 403,
    "HOST_NOT_ALLOWED": 403,
    "LOCAL_PATH_NOT_ALLOWED": 403,
    "ISSUER_UNREACHABLE": 503,
    "METHOD_NOT_ALLOWED": 405,
    "SCHEME_NOT_ALLOWED": 403,
    "STORE_BUSY": 503,
    "STORE_DAMAGED": 503,
    "STORE_NOT_WRITABLE": 503,
    "STORE_TOO_NEW": 503,
    "STORE_UNREACHABLE": 503,
    "TOO_MANY_FILES": 413,
    "TOO_MANY_REQUESTS": 429,
    "UNAUTHENTICATED": 401,
    "UNKNOWN_PATH": 404,
}
"""Conditions whose HTTP status is not that of their class."""


class SparkscoreError(Exception):
    """An error that a user, their data or their platform can cause.

    ``attributes`` are facts (file, line, key, value...) of JSON types; tests and front ends read
    these and ``condition``, never the message.
    """

    condition = "SPARKSCORE_ERROR"
    exit_code = 1
    http_status = 500

    def __init__(self, message: str, *, condition: str | None = None, **attributes: Any) -> None:
        super().__init__(message)
        self.message = message
        if condition is not None:
            self.condition = condition
        self.http_status = HTTP_STATUSES.get(self.condition, type(self).http_status)
        self.attributes = attributes

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.condition, self.attributes)


def _rebuild(
    kind: type[SparkscoreError], message: str, condition: str, attributes: dict[str, Any]
) -> SparkscoreError:
    return kind(message, condition=condition, **attributes)


class SpecError(SparkscoreError, ValueError):
    condition = "INVALID_SPEC"
    exit_code = 2
    http_status = 400


class MalformedDocumentError(SpecError):
    condition = "MALFORMED_DOCUMENT"


class UnknownFieldError(SpecError):
    condition = "UNKNOWN_FIELD"


class InvalidFieldError(SpecError):
    condition = "INVALID_FIELD"


class UnresolvedReferenceError(SpecError):
    condition = "UNRESOLVED_REFERENCE"


class PlanError(SparkscoreError, ValueError):
    condition = "INVALID_PLAN"
    exit_code = 2
    http_status = 400


class InputNotFoundError(PlanError):
    condition = "INPUT_NOT_FOUND"


class EmptyInputError(PlanError):
    condition = "EMPTY_INPUT"


class OutputNotWritableError(PlanError):
    condition = "OUTPUT_NOT_WRITABLE"


class TargetError(SparkscoreError):
    condition = "TARGET_FAILED"
    exit_code = 3
    http_status = 502


class UnknownTargetError(TargetError):
    condition = "UNKNOWN_TARGET"
    http_status = 400


class UnsupportedByTargetError(TargetError):
    condition = "UNSUPPORTED_BY_TARGET"
    http_status = 400


class MissingDependencyError(TargetError):
    condition = "MISSING_DEPENDENCY"
    http_status = 501


class SubmitError(TargetError):
    condition = "SUBMIT_FAILED"


class ScoringError(SparkscoreError):
    condition = "SCORING_FAILED"
    exit_code = 4


class ScoringScriptError(ScoringError):
    condition = "SCORING_SCRIPT_FAILED"


class InvalidScoringResultError(ScoringError):
    condition = "INVALID_RESULT"


class ErrorThresholdExceededError(ScoringError):
    condition = "ERROR_THRESHOLD_EXCEEDED"


class NoSuccessfulInputError(ScoringError):
    condition = "NO_SUCCESSFUL_INPUT"


class PublishError(ScoringError):
    condition = "PUBLISH_FAILED"


class StorageError(ScoringError):
    condition = "STORAGE_FAILED"
    http_status = 502


class StateError(SparkscoreError):
    condition = "INVALID_STATE"
    exit_code = 5
    http_status = 409


class NotFoundError(StateError):
    condition = "NOT_FOUND"
    http_status = 404


class AlreadyExistsError(StateError):
    condition = "ALREADY_EXISTS"


class InvalidTransitionError(StateError):
    condition = "INVALID_TRANSITION"


class PreconditionFailedError(StateError):
    condition = "CHANGED_MEANWHILE"
    http_status = 412


class CanceledError(SparkscoreError):
    condition = "CANCELED"
    exit_code = 6
    http_status = 409


class MessageError(SparkscoreError, ValueError):
    condition = "UNREADABLE_MESSAGE"
    exit_code = 2
    http_status = 400


class UsageError(SparkscoreError, ValueError):
    condition = "WRONG_USAGE"
    exit_code = 2
    http_status = 400


class RequestError(UsageError):
    condition = "INVALID_REQUEST"
