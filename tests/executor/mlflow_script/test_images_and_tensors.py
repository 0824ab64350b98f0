"""Images and columns as the tensors that a model takes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from mlflow.types import TensorSpec
from PIL import Image

from sparkscore.executor.mlflow_files import UnusableInputError
from sparkscore.executor.mlflow_script import UnusableModelError
from tests.executor.mlflow_script.models import SEEN, Save, Start, counts, rows


def grey(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.arange(height * width, dtype=np.uint8).reshape(height, width))


def tensor(kind: str, *shape: int, name: str | None = None) -> Any:
    return TensorSpec(np.dtype(kind), shape, name)


@pytest.mark.parametrize(
    ("kind", "shape", "given"),
    [
        ("uint8", (-1, 2, 3), (1, 2, 3)),
        ("float32", (-1, 6), (1, 6)),
        ("float64", (-1, 2, 3, 1), (1, 2, 3, 1)),
        ("uint8", (-1, -1, -1), (1, 2, 3)),
        ("uint8", (-1, -1, -1, 1), (1, 2, 3, 1)),
        ("uint8", (1, 2, 3), (1, 2, 3)),
    ],
)
def test_image__gets_the_tensors_shape_and_type(
    start: Start, save: Save, kind: str, shape: tuple[int, ...], given: tuple[int, ...]
) -> None:
    table = start(save(counts, tensors=[tensor(kind, *shape)]))(
        a__PNG=grey(2, 3), b__bmp=grey(2, 3)
    )
    assert rows(table) == [("a.PNG", 0, 0), ("b.bmp", 0, 0)]
    assert [(array.shape, str(array.dtype)) for array in SEEN] == [(given, kind)] * 2
    assert SEEN[0].ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_image__without_signature_is_a_batch_of_pixels(start: Start, save: Save) -> None:
    score = start(save(counts))
    colour = grey(2, 3).convert("RGB")
    images = {f"a__{suffix}": colour for suffix in ("png", "jpg", "jpeg", "tiff", "gif")}
    table = score(grey__png=grey(2, 3), bits__png=grey(2, 3).convert("1"), **images)
    shapes = [array.shape for array in SEEN]
    assert shapes == [(1, 2, 3, 1)] * 2 + [(1, 2, 3, 3)] * 5
    assert {str(array.dtype) for array in SEEN} == {"uint8"}
    assert table["row"].to_pylist() == [0] * 7


def test_image__of_a_named_tensor(start: Start, save: Save) -> None:
    model = save(
        lambda d: [[float(d["pixels"].sum())]], tensors=[tensor("uint8", -1, 2, 3, name="pixels")]
    )
    assert list(start(model)(a__png=grey(2, 3))["prediction"].to_pylist()) == [[15.0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (grey(4, 4), r"a\.png: cannot reshape .* \(the model takes \(-1, 2, 3\)\)"),
        (
            Image.fromarray(np.full((2, 3), 300, np.uint16)),
            r"a\.png: values of type .* do not fit uint8",
        ),
        (b"no image", r"a\.png: cannot be read: cannot identify"),
        (b"", r"a\.png: cannot be read: cannot identify"),
    ],
)
def test_image__that_cannot_be_scored(start: Start, save: Save, content: Any, message: str) -> None:
    score = start(save(counts, tensors=[tensor("uint8", -1, 2, 3)]))
    with pytest.raises(UnusableInputError, match=message):
        score(a__png=content)


def test_image__for_a_model_of_columns(start: Start, save: Save) -> None:
    with pytest.raises(UnusableInputError, match=r"a\.png: an image, but the model takes 'k'"):
        start(save(counts, {"k": "long"}))(a__png=grey(2, 3))


def test_image__has_no_passthrough(start: Start, save: Save) -> None:
    with pytest.raises(UnusableInputError, match=r"a\.png: an image has no columns"):
        start(save(counts), passthrough=["id"])(a__png=grey(2, 3))
    assert start(save(counts), passthrough="all")(a__png=grey(2, 3)).num_rows == 1


def test_image__needs_pillow(start: Start, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    score = start(save(counts))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UnusableModelError, match="images need Pillow: pip install pillow"):
        score(a__csv="k\n1\n", b__png=b"pixels")


def test_images_and_tables__in_one_mini_batch(start: Start, save: Save) -> None:
    table = start(save(counts), passthrough="all")(a__png=grey(2, 3), b__csv="id\nx\n")
    assert rows(table) == [("a.png", 0, 0, None), ("b.csv", 0, 0, "x")]


def test_tensor__of_csv_columns(start: Start, save: Save) -> None:
    score = start(save(counts, tensors=[tensor("float32", -1, 2, 2)]), passthrough=["id"])
    table = score(a__csv="id,a,b,c,d\nx,1,2,3,4.5\ny,5,6,,8\n")
    assert SEEN[0].dtype == np.float32
    np.testing.assert_array_equal(SEEN[0], [[[1, 2], [3, 4.5]], [[5, 6], [np.nan, 8]]])
    assert rows(table) == [("a.csv", 0, "x", 0), ("a.csv", 1, "y", 1)]
    with pytest.raises(UnusableInputError, match=r"row 0, column 'b': 'q' is not a float32"):
        score(a__csv="id,a,b,c,d\nx,1,q,3,4\n")
    with pytest.raises(UnusableInputError, match=r"takes float32 of shape \(-1, 2, 2\)"):
        score(a__csv="id,a\nx,1\n")


def test_tensor__of_named_columns_and_lists(start: Start, save: Save) -> None:
    specs = [tensor("int64", -1, name="k"), tensor("float64", -1, 2, name="v")]
    score = start(save(lambda d: d["k"] + d["v"].sum(axis=1), tensors=specs))
    lists = pa.table({"v": [[1.0, 2.0], [3.0, 4.0]], "k": [10, 20], "z": ["a", "b"]})
    table = score(a__parquet=lists)
    assert table["prediction"].to_pylist() == [13.0, 27.0]
    with pytest.raises(UnusableInputError, match=r"^a\.jsonl: .*the model takes float64 of shape"):
        score(a__jsonl='{"k": 1, "v": [1]}\n{"k": 1, "v": [1, 2]}\n')
