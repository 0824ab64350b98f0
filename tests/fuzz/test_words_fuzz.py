"""What is typed as one word: ``--set``, references, URIs, computes; through the command line."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkscore.errors import SparkscoreError
from sparkscore.listing.location import find_local_path
from sparkscore.spec import references
from sparkscore.spec.deployment import DeploymentSpec
from sparkscore.spec.endpoint import BatchEndpointSpec
from sparkscore.spec.vocabulary import get_override_keys
from sparkscore.storage import redact
from sparkscore.storage.uri import check_uri, strip_credentials
from sparkscore.targets.registry import get_compute
from tests.fuzz.conftest import Place
from tests.fuzz.wild import TEXTS, check_error

ANYTIME = settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
KEYS = [*get_override_keys(DeploymentSpec), *get_override_keys(BatchEndpointSpec)]
LETTERS = [*"[]{}'\",:=. \t\n\\", "&a ", "*a", "!!"]
TYPED = st.sampled_from([text for text in TEXTS if "\0" not in text]) | st.text(max_size=5)
"""A command line holds no NUL."""

TYPED_KEYS = st.sampled_from([*KEYS, "tags", "tags.a", "tags.a.b", "tags[0]", "tags.", ".tags"])
TYPED_VALUES = st.lists(st.sampled_from(LETTERS) | TYPED, max_size=6).map("".join)
SIGNS = st.sampled_from(["=", "==", " = ", ""])
OVERRIDES = st.tuples(TYPED_KEYS | TYPED, SIGNS, TYPED_VALUES).map("".join)

PIECES = [
    *("azureml:", "azureml://", "azureml:/", "datastores/", "paths/", "/subscriptions/", "a", "1"),
    *("workspaces/w/", "data/", "versions/", "labels/", "@latest", "@", ":", "/", "//", "..", "."),
    *("models:/", "runs:/", "folder:", "file:", "file://", "s3://", "abfss://", "http://", "://"),
    *("c@a.dfs.core.windows.net", "u:p@", "?sig=x", "[", "]", "[::1]", "%2e%2e", "%00", "#", "::"),
    *("local", "local[", "spark://", ":7077", ",", "*", "\\", " ", "é", "\u2028"),
    *("9" * 5000, "a" * 300),
]
REFERENCES = st.lists(st.sampled_from(PIECES) | TYPED, min_size=1, max_size=7).map("".join)


def is_typed(word: str) -> bool:
    """Whether a shell could hand the word on, and it is not taken for a flag."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in word and not word.startswith("-")


@pytest.mark.parametrize("command", ["batch-deployment", "batch-endpoint"])
@ANYTIME
@given(overrides=st.lists(OVERRIDES.filter(is_typed), min_size=1, max_size=3))
def test_set__any_words(place: Place, command: str, overrides: list[str]) -> None:
    file = "second.yml" if command == "batch-deployment" else "endpoint.yml"
    words = [word for override in overrides for word in ("--set", override)]
    place.check(command, "create", "-f", file, "--set", "name=other", *words)


@pytest.mark.parametrize("flag", ["--set", "--add", "--remove"])
@ANYTIME
@given(override=OVERRIDES.filter(is_typed))
def test_update__any_words(place: Place, flag: str, override: str) -> None:
    place.check("batch-endpoint", "update", "-n", "mood", flag, override)


@given(text=REFERENCES)
def test_reference__any_text(text: str) -> None:
    for parse in (
        references.parse_model,
        references.parse_data,
        references.parse_output,
        references.parse_compute,
        references.parse_datastore,
        lambda text: references.parse_asset(text, kind="environment"),
        get_compute,
        check_uri,
        strip_credentials,
        find_local_path,
        redact,
    ):
        try:
            parse(text)
        except SparkscoreError as error:
            check_error(error)


@ANYTIME
@given(text=REFERENCES.filter(is_typed))
def test_invoke__any_input_and_output(place: Place, text: str) -> None:
    for flag in ("--input", "--output-path", "--input-dataset", "--compute", "--deployment-name"):
        answer = place.check("batch-endpoint", "invoke", "-n", "mood", flag, text)
        assert answer.exit_code != 0


@ANYTIME
@given(text=REFERENCES.filter(is_typed), name=REFERENCES.filter(is_typed))
def test_create__any_name_and_path(place: Place, text: str, name: str) -> None:
    place.check("data", "create", "--name", "other", "--path", text, "--type", "uri_folder")
    place.check("compute", "create", "--name", name, "--type", "local")
    place.check("data", "show", "--name", name, "--version", text)
    place.check("job", "show", "--name", name)


@ANYTIME
@given(word=REFERENCES.filter(is_typed), value=TYPED_VALUES.filter(is_typed))
def test_plan__any_compute_and_conf(place: Place, word: str, value: str) -> None:
    run = ("batch-deployment", "run", "-f", "alone.yml", "--input", "in", "--plan")
    content = "name: a\nendpoint_name: a\nmodel: {path: model}\ncode_configuration: {code: code,"
    (place.folder / "alone.yml").write_text(f"{content} scoring_script: score.py}}\n")
    place.check(*run, "--compute", word)
    place.check(*run, "--conf", f"spark.task.cpus={value}")
    place.check(*run, "--conf", f"spark.driver.memory={value}g")
