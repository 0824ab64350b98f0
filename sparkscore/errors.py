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
│   └── InvalidTransitionError
├── CanceledError                           6     the job was canceled
├── MessageError (ValueError)               2     a message file that cannot be read
└── UsageError (ValueError)                 2     flags that do not go together, a query, no answer

Every error has a stable ``condition`` (upper-case words), attributes that can be written as JSON,
and a message that says what happened, where, and what to do. Expected errors are shown as one
line; anything else is a bug and stays a traceback.
"""

from __future__ import annotations

from typing import Any


class SparkscoreError(Exception):
    """An error that a user, their data or their platform can cause.

    ``attributes`` are facts (file, line, key, value...) of JSON types; tests and front ends read
    these and ``condition``, never the message.
    """

    condition = "SPARKSCORE_ERROR"
    exit_code = 1

    def __init__(self, message: str, *, condition: str | None = None, **attributes: Any) -> None:
        super().__init__(message)
        self.message = message
        if condition is not None:
            self.condition = condition
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


class InputNotFoundError(PlanError):
    condition = "INPUT_NOT_FOUND"


class EmptyInputError(PlanError):
    condition = "EMPTY_INPUT"


class OutputNotWritableError(PlanError):
    condition = "OUTPUT_NOT_WRITABLE"


class TargetError(SparkscoreError):
    condition = "TARGET_FAILED"
    exit_code = 3


class UnknownTargetError(TargetError):
    condition = "UNKNOWN_TARGET"


class UnsupportedByTargetError(TargetError):
    condition = "UNSUPPORTED_BY_TARGET"


class MissingDependencyError(TargetError):
    condition = "MISSING_DEPENDENCY"


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


class StateError(SparkscoreError):
    condition = "INVALID_STATE"
    exit_code = 5


class NotFoundError(StateError):
    condition = "NOT_FOUND"


class AlreadyExistsError(StateError):
    condition = "ALREADY_EXISTS"


class InvalidTransitionError(StateError):
    condition = "INVALID_TRANSITION"


class CanceledError(SparkscoreError):
    condition = "CANCELED"
    exit_code = 6


class MessageError(SparkscoreError, ValueError):
    condition = "UNREADABLE_MESSAGE"
    exit_code = 2


class UsageError(SparkscoreError, ValueError):
    condition = "WRONG_USAGE"
    exit_code = 2
