"""URIs, options and credentials: what is opened with what, and what is refused."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.output_checks import check_output
from sparkscore.errors import PlanError, SparkscoreError
from sparkscore.listing import check_input, list_inputs
from sparkscore.messages.launch import OutputMessage
from sparkscore.storage import check_uri, describe_error, join_uri, open_store, redact
from sparkscore.storage.azure import azure_arguments
from tests.servers.azure import ACCOUNT, KEY, endpoint_of
from tests.servers.store import StoreServer

SECRET = "aVerySecretValue/+=="
AZURE_VARIABLES = (
    *("CONNECTION_STRING", "ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN"),
    *("CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"),
)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in AZURE_VARIABLES:
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


@pytest.mark.parametrize(
    ("uri", "variable"),
    [
        (f"https://a.blob.core.windows.net/c/x?sv=1&sig={SECRET}", "AZURE_STORAGE_SAS_TOKEN"),
        (f"abfss://c@a.dfs.core.windows.net/x?SIG={SECRET}", "AZURE_STORAGE_SAS_TOKEN"),
        (f"s3://b/x?X-Amz-Signature={SECRET}", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (f"s3://key:{SECRET}@b/x", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (f"gs://b/x?access_token={SECRET}", "GOOGLE_APPLICATION_CREDENTIALS"),
        (f"https://user:{SECRET}@host/x", None),
        (f"https://{SECRET.rstrip('/+=')}@host/x", None),
        (f"https://host/x?token={SECRET}", None),
        (f"sftp://user:{SECRET}@host/x", None),
    ],
)
def test_credentials__in_a_uri_are_refused_and_not_shown(uri: str, variable: str | None) -> None:
    output = OutputMessage(path=uri, action="append_row", format="csv", file_name="x.csv")
    calls: list[Any] = [
        lambda: check_uri(uri),
        lambda: open_store(uri),
        lambda: list_inputs(uri),
        lambda: check_input(uri),
        lambda: check_output(output, job_folder=None),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(PlanError) as caught:
            call()
        assert caught.value.condition == "CREDENTIALS_IN_URI"
        shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value)
        assert "aVerySecret" not in shown + repr(caught.value.attributes)
        assert variable in (None, caught.value.attributes["variable"])


@given(secret=st.from_regex(r"[A-Za-z0-9]{12,40}", fullmatch=True))
def test_credentials__never_stand_in_the_error(secret: str) -> None:
    for uri in (
        f"https://h/p?a=1&sig={secret}",
        f"s3://u:{secret}@b/p",
        f"gs://b?password={secret}",
    ):
        with pytest.raises(PlanError) as caught:
            check_uri(uri)
        assert secret not in caught.value.message + repr(caught.value.attributes)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://b/x",
        "abfss://c@a.dfs.core.windows.net/x",
        "wasbs://c@a.blob.core.windows.net/x y/*",
        "https://host/x?version=2",
        "s3://b/x[1].csv",
        "sftp://user@host/x",
        "http://host:8080/a@b",
        "http://[::1]:8080/a@b",
    ],
)
def test_check_uri__names_without_secrets_are_fine(uri: str) -> None:
    check_uri(uri)


def test_redact__values_of_variables_and_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY_OTHER", SECRET)
    text = f"failed with {SECRET} at https://h/x?sv=1&sig=abc%3D&x=1 and AccountKey=zzz;"
    assert redact(text) == ("failed with *** at https://h/x?sv=1&sig=***&x=1 and AccountKey=***;")
    assert SECRET not in describe_error(RuntimeError(f"token {SECRET}"))


@pytest.mark.parametrize(
    ("uri", "condition"),
    [
        ("zip://*.csv::s3://b/x.zip", "CHAINED_URI"),
        ("gopher://host/x", "UNKNOWN_SCHEME"),
        ("abfs://container/x", "NO_STORAGE_ACCOUNT"),
    ],
)
def test_open_store__refused(uri: str, condition: str) -> None:
    with pytest.raises(SparkscoreError) as caught:
        open_store(uri)
    assert caught.value.condition == condition


def test_open_store__unknown_option() -> None:
    with pytest.raises(PlanError) as caught:
        open_store("s3://b/x", {"secret": SECRET})
    assert caught.value.condition == "UNKNOWN_STORE_OPTION"
    assert caught.value.attributes["option"] == "secret"


@pytest.mark.parametrize(
    ("uri", "account", "path"),
    [
        ("abfss://c@a.dfs.core.windows.net/x/y", "a", "c/x/y"),
        ("abfss://c@a.dfs.core.windows.net", "a", "c/"),
        ("wasbs://c@a.blob.core.windows.net/x", "a", "c/x"),
        ("https://a.blob.core.windows.net/c/x%20y", "a", "c/x y"),
        ("https://a.dfs.core.windows.net/c", "a", "c"),
        ("abfs://c/x", "named", "c/x"),
    ],
)
def test_azure__account_and_path(uri: str, account: str, path: str) -> None:
    options = {"account_name": "named", "anonymous": "true"}
    arguments, found = azure_arguments(uri, options)
    assert (arguments["account_name"], found) == (account, path)


URI = "abfss://c@acct.dfs.core.windows.net/x"


def test_azure__credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "k")
    assert "AccountKey=k" in azure_arguments(URI, {})[0]["connection_string"]
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=s")
    connection = azure_arguments(URI, {})[0]["connection_string"]
    assert connection.endswith("SharedAccessSignature=sv=1&sig=s")
    assert "sig" not in azure_arguments(URI, {"anonymous": "true"})[0]["connection_string"]


def test_azure__profile_is_a_suffix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "other")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY_MY_TEAM", "mine")
    arguments, _ = azure_arguments(URI, {"profile": "my-team"})
    assert "AccountKey=mine" in arguments["connection_string"]
    with pytest.raises(PlanError) as caught:
        azure_arguments(URI, {"profile": "nobody"})
    assert caught.value.condition == "PROFILE_NOT_FOUND"


def test_azure__credentials_of_another_account_are_never_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "other")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "k")
    for name in ("CONNECTION_STRING", "SAS_TOKEN"):
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", "AccountName=other;AccountKey=k")
    arguments, _ = azure_arguments("https://acct.blob.core.windows.net/c/x", {})
    assert "AccountKey" not in arguments["connection_string"]
    assert "Signature" not in arguments["connection_string"]


def test_azure__blob_url_without_credentials_is_anonymous() -> None:
    arguments, _ = azure_arguments("https://acct.blob.core.windows.net/c/x", {})
    assert arguments["connection_string"].startswith("BlobEndpoint=https://acct.blob.core")
    assert azure_arguments(URI, {})[0]["anon"] is False


def test_azure__endpoint_and_anonymous_by_options(abfss_store: StoreServer) -> None:
    abfss_store.put("public/a.txt", b"1")
    options = {"endpoint": endpoint_of(abfss_store), "anonymous": "true"}
    listing = list_inputs(f"{abfss_store.uri}/public", options=options)
    assert listing.files["path"].to_pylist() == ["a.txt"]


def test_azure__wrong_key_is_not_shown(
    abfss_store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = KEY[::-1].replace("=", "") + "=="
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", wrong)
    options = {"endpoint": endpoint_of(abfss_store)}
    with pytest.raises(PlanError) as caught:
        check_input(f"abfss://private@{ACCOUNT}.dfs.core.windows.net/x", options=options)
    assert wrong not in "".join(traceback.format_exception(caught.value))


def test_s3__options(s3_store: StoreServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    s3_store.put("profile/a.txt", b"1")
    for name in s3_store.environment:
        monkeypatch.delenv(name, raising=False)
    keys = s3_store.environment
    (tmp_path / "credentials").write_text(
        f"[team]\naws_access_key_id = {keys['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {keys['AWS_SECRET_ACCESS_KEY']}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    options = {"endpoint": keys["AWS_ENDPOINT_URL"], "profile": "team", "region": "us-east-1"}
    for scheme in ("s3", "s3a"):
        listing = list_inputs(f"{scheme}://bucket/profile", options=options)
        assert listing.files["path"].to_pylist() == ["a.txt"]
    with pytest.raises(PlanError) as caught:
        check_input("s3://bucket/profile", options={**options, "profile": "nobody"})
    assert caught.value.condition == "INPUT_NOT_READABLE"


def test_join_uri__keeps_the_scheme() -> None:
    assert join_uri("s3://b/x/", "y.csv") == "s3://b/x/y.csv"
    assert join_uri("s3://b/x", "") == "s3://b/x"
