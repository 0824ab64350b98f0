"""Files and models that cannot be used, and how a model is found."""

from __future__ import annotations

from pathlib import Path

import mlflow.pyfunc
import mlflow.sklearn
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from sparkscore.executor import mlflow_script
from sparkscore.executor.mlflow_files import UnusableInputError
from sparkscore.executor.mlflow_script import UnusableModelError
from tests.executor.mlflow_script.models import (
    SEEN,
    Adds,
    Save,
    Start,
    counts,
    save_quietly,
    write_file,
)


@pytest.mark.parametrize("name", ["a__avro", "a__tsv", "a", "a__csv__gz"])
def test_file__of_another_type(start: Start, save: Save, name: str) -> None:
    file = name.replace("__", r"\.")
    with pytest.raises(UnusableInputError, match=rf"^{file}: not a supported .* \.csv, .*\.gif$"):
        start(save(counts, {"k": "long"}))(**{name: "k\n1\n"})


@pytest.mark.parametrize(
    ("name", "content"),
    [("a__parquet", b"PAR1 no"), ("a__csv", b"k,s\n1,\xff\n"), ("a__csv", b"\xff\xfe\n1\n"),
     ("a__jsonl", b'{"k": 1, "s": "\xff"}\n')],
)  # fmt: skip
def test_file__that_cannot_be_read(start: Start, save: Save, name: str, content: bytes) -> None:
    score = start(save(counts, {"k": "long", "s": "string"}))
    with pytest.raises(UnusableInputError, match=rf"^{name.replace('__', '.')}: cannot be read: "):
        score(**{name: content})


def test_file__that_is_gone(start: Start, save: Save, tmp_path: Path) -> None:
    start(save(counts, {"k": "long"}))
    with pytest.raises(UnusableInputError, match=r"^gone\.csv: cannot be read: .*No such file"):
        mlflow_script.run([str(tmp_path / "in" / "gone.csv")])


def test_csv__with_a_byte_order_mark_and_windows_line_ends(start: Start, save: Save) -> None:
    start(save(counts, {"k": "long", "s": "string"}))(a__csv=b"\xef\xbb\xbfk,s\r\n1,x\r\n")
    assert SEEN[0].to_dict("list") == {"k": [1], "s": ["x"]}


def test_model__is_found_below_its_folder(
    save: Save, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = save(counts, {"k": "long"})
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model").symlink_to(models / name)
    for variable in ("SPARKSCORE_MODEL_NAME", "SPARKSCORE_INPUT_ROOT", "SPARKSCORE_ON_BAD_ROW",
                     "SPARKSCORE_PASSTHROUGH_COLUMNS"):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    mlflow_script.init()
    assert mlflow_script.run([write_file(tmp_path, "a__csv", "k\n1\n")]).num_rows == 1


def test_model__is_missing_or_not_the_only_one(tmp_path: Path) -> None:
    with pytest.raises(UnusableModelError, match=r"no file MLmodel, in .*nothing"):
        mlflow_script.find_model(str(tmp_path / "nothing"))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "MLmodel").touch()
    with pytest.raises(UnusableModelError, match=r"several MLflow models: .*/a, .*/b"):
        mlflow_script.find_model(str(tmp_path))
    (tmp_path / "MLmodel").touch()
    assert mlflow_script.find_model(str(tmp_path)) == str(tmp_path)


def test_model__without_python_function_is_refused(start: Start, save: Save, models: Path) -> None:
    import yaml

    path = models / save(counts, {"other_flavours": "long"}) / "MLmodel"
    content = yaml.safe_load(path.read_text())
    content["flavors"] = {"spark": {}, "mleap": {}}
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UnusableModelError, match=r"no flavour python_function.*: mleap, spark$"):
        start(path.parent.name)


def test_model__with_other_requirements_gives_one_line(
    start: Start, save: Save, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = save(counts, {"other_requirements": "long"})
    (models / name / "requirements.txt").write_text("numpy==1.0\npandas==0.1\n")
    capfd.readouterr()
    start(name)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "numpy (current: " in lines[0]
    assert "pandas (current: " in lines[0]


def test_model__keeps_the_defaults_of_its_parameters(start: Start, models: Path) -> None:
    signature = ModelSignature(
        inputs=Schema([ColSpec("long", "k"), ColSpec("long", "o", required=False)]),
        params=ParamSchema([ParamSpec("add", "long", 40)]),
    )
    path = models / "adds"
    save_quietly(mlflow.pyfunc, path, python_model=Adds(), signature=signature, pip_requirements=[])
    assert start("adds")(a__csv="k,o\n2,\n")["prediction"].to_pylist() == [42]


def test_model__probabilities_of_scikit_learn(start: Start, models: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    data = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    model = LogisticRegression().fit(data, [0, 0, 1, 1])
    save_quietly(
        mlflow.sklearn,
        models / "probabilities",
        sk_model=model,
        signature=infer_signature(data, model.predict_proba(data)),
        pip_requirements=["scikit-learn"],
        pyfunc_predict_fn="predict_proba",
    )
    table = start("probabilities")(a__parquet=pa.table(data))
    assert table.column_names == ["file", "row", "prediction_0", "prediction_1"]
    expected = model.predict_proba(data)[:, 1].tolist()
    assert table["prediction_1"].to_pylist() == expected
