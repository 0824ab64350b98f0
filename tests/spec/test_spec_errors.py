"""Unknown keys, missing keys, keys given twice, and several errors at once."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from sparkscore.errors import (
    InvalidFieldError,
    MalformedDocumentError,
    UnknownFieldError,
    UnresolvedReferenceError,
)
from sparkscore.spec import load_deployment

UNKNOWN = [
    ("mini_batch_sze: 3", "mini_batch_sze", "mini_batch_size"),
    ("miniBatchSize: 3", "miniBatchSize", "mini_batch_size"),
    ("mini-batch-size: 3", "mini-batch-size", "mini_batch_size"),
    ("timeout: 3", "timeout", "retry_settings.timeout"),
    ("max_retries: 3", "max_retries", "retry_settings.max_retries"),
    ("instance_count: 3", "instance_count", "resources.instance_count"),
    ("scoring_script: a.py", "scoring_script", "code_configuration.scoring_script"),
    ("retry_settings: {tiemout: 3}", "retry_settings.tiemout", "retry_settings.timeout"),
    ("retry_settings: {error_threshold: 3}", "retry_settings.error_threshold", "error_threshold"),
    ("type: model\nmini_batch_size: 3", "mini_batch_size", "settings.mini_batch_size"),
    ("type: model\nmini_batchsize: 3", "mini_batchsize", "settings.mini_batch_size"),
    ("type: model\ntimeout: 3", "timeout", "settings.retry_settings.timeout"),
    ("type: model\nsettings: {compute: a}", "settings.compute", "compute"),
    ("settings: {timeout: 3}", "settings.timeout", "settings.retry_settings.timeout"),
    ("settings: {retrysettings: {}}", "settings.retrysettings", "settings.retry_settings"),
    ("environment: {conda: a}", "environment.conda", "environment.conda_file"),
    ("environment: {conda_fil: a}", "environment.conda_fil", "environment.conda_file"),
    ("resources: {instancecount: 1}", "resources.instancecount", "resources.instance_count"),
    ("zzz: 3", "zzz", None),
    ("output_schema:\n  a: int\nzzz: 3", "zzz", None),
]


@pytest.mark.parametrize(("text", "key", "nearest"), UNKNOWN)
def test_unknown_key__names_the_nearest(make_error, deployment_file, text, key, nearest):
    error = make_error(text)
    line = 3 + len(text.splitlines())
    assert type(error) is UnknownFieldError
    assert error.attributes["key"] == key
    assert error.attributes["nearest"] == nearest
    assert (error.attributes["file"], error.attributes["line"]) == (str(deployment_file), line)
    assert error.message.startswith(f"{deployment_file}:{line}: unknown key {key}: ")
    assert (nearest or "") in error.message


def test_unknown_key__misplaced_says_where_it_belongs(make_error):
    error = make_error("type: model\nmini_batch_size: 3")
    assert error.message.endswith("it belongs in settings: write settings.mini_batch_size")


def test_unknown_key__in_the_model(make_error):
    error = make_error("name: abc\nendpoint_name: digits\nmodel:\n  pth: m\n", alone=True)
    assert type(error) is UnknownFieldError
    assert (error.attributes["key"], error.attributes["line"]) == ("model.pth", 4)
    assert error.attributes["nearest"] == "model.path"


@pytest.mark.parametrize("tag", ["inline", "reference"])
def test_unknown_key__named_like_a_form_of_the_model(make_error, tag):
    error = make_error(f"name: abc\nendpoint_name: digits\nmodel:\n  {tag}: m\n", alone=True)
    others = error.attributes["others"]
    assert {error.attributes["key"], *(other["key"] for other in others)} == {
        f"model.{tag}",
        "model.path",
    }


def test_missing_key__at_the_root(make_error):
    error = make_error("# a comment\nname: abc\nendpoint_name: digits\n", alone=True)
    assert type(error) is InvalidFieldError
    assert error.condition == "MISSING_FIELD"
    assert (error.attributes["key"], error.attributes["line"]) == ("model", 2)


def test_missing_key__in_a_section(make_error):
    error = make_error("code_configuration:\n  code: src\n")
    assert error.condition == "MISSING_FIELD"
    assert error.attributes["key"] == "code_configuration.scoring_script"
    assert error.attributes["line"] == 4


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        (
            "error_threshold: 1\nsettings: {error_threshold: 2}",
            "settings.error_threshold",
            "error_threshold",
        ),
        (
            "code_configuration: {code: {path: a, local_path: b}, scoring_script: s.py}",
            "code_configuration.code.local_path",
            "code_configuration.code.path",
        ),
    ],
)
def test_field_given_twice__names_both(make_error, text, first, second):
    error = make_error(text)
    assert type(error) is InvalidFieldError
    assert error.attributes["key"] == second
    assert f"{second} gives again what {first} gives" in error.message


def test_model_path_given_twice__is_an_error(make_error):
    text = "name: abc\nendpoint_name: digits\nmodel:\n  path: a\n  local_path: b\n"
    error = make_error(text, alone=True)
    assert (error.attributes["key"], error.attributes["line"]) == ("model.local_path", 5)
    assert "model.path" in error.message


def test_several_errors__first_by_line_and_the_others_in_one_line(make_error, deployment_file):
    error = make_error("mini_batch_size: ten\nzzz: 1\nretry_settings:\n  timeout: 0\n")
    assert error.message == (
        f"{deployment_file}:4: mini_batch_size must be a whole number of at least 1, not 'ten'"
        "; also line 5: unknown key zzz: `sparkscore schema deployment` prints all keys"
        "; also line 7: retry_settings.timeout must be a whole number of seconds from 1 to 259200"
        ", not 0"
    )
    assert [other["line"] for other in error.attributes["others"]] == [5, 7]


def test_many_errors__are_counted(make_error):
    error = make_error("".join(f"zzz{number}: 1\n" for number in range(20)))
    assert error.message.endswith("; and 14 more")
    assert len(error.attributes["others"]) == 19


def test_value__long_or_odd_is_shortened(make_error):
    error = make_error(f"mini_batch_size: {'x' * 500}")
    assert len(error.message) < 300
    assert error.attributes["value"] == "x" * 500


def test_text_number__says_to_drop_the_quotes(make_error):
    assert "without quotes" in make_error("mini_batch_size: '10'").message


def test_refused_by_name__says_why(make_error):
    triton = "name: abc\nendpoint_name: digits\nmodel: {path: m, type: triton_model}\n"
    assert "Triton" in make_error(triton, alone=True).message
    assert "pipeline component" in make_error("type: pipeline").message


def test_error__survives_pickling(make_error):
    error = make_error("zzz: .nan\nmini_batch_size: .inf\n")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.attributes == error.attributes


def test_file__absent(tmp_path: Path):
    with pytest.raises(UnresolvedReferenceError) as caught:
        load_deployment(tmp_path / "none.yml")
    assert caught.value.condition == "DEPLOYMENT_FILE_NOT_FOUND"


def test_file__is_a_folder(tmp_path: Path):
    with pytest.raises(UnresolvedReferenceError) as caught:
        load_deployment(tmp_path)
    assert caught.value.condition == "DEPLOYMENT_FILE_NOT_READABLE"


def test_loaded__error_names_place_and_key_as_written(make_deployment, deployment_file):
    text = "name: abc\nendpoint_name: digits\nmodel:\n  local_path: ./m\n"
    loaded = make_deployment(text, alone=True)
    error = loaded.error("model.path", message="does not exist", path="./m")
    assert type(error) is UnresolvedReferenceError
    assert error.message == f"{deployment_file}:4: model.local_path does not exist"
    assert error.attributes == {
        "file": str(deployment_file),
        "line": 4,
        "key": "model.local_path",
        "path": "./m",
    }


def test_loaded__error_of_an_override(make_deployment):
    loaded = make_deployment("", "model.path=./other")
    assert loaded.error("model.path", message="is gone").message == "--set: model.path is gone"
    assert str(loaded.get_place("settings.mini_batch_size")).startswith(str(loaded.file))


def test_loaded__resolve(make_deployment, tmp_path, monkeypatch):
    loaded = make_deployment()
    assert loaded.resolve("m/model.pkl") == str(loaded.folder / "m/model.pkl")
    assert loaded.resolve("/m") == "/m"
    assert loaded.resolve("abfss://c@a.dfs.core.windows.net/m").startswith("abfss://")


def test_loaded__relative_file_has_an_absolute_folder(tmp_path, monkeypatch):
    (tmp_path / "d.yml").write_text("name: abc\nendpoint_name: digits\nmodel: models:/m/1\n")
    monkeypatch.chdir(tmp_path)
    assert load_deployment(Path("d.yml")).folder == tmp_path


def test_malformed_override__is_malformed(make_error):
    assert type(make_error("", "tags={a: ")) is MalformedDocumentError
