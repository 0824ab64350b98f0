"""Whatever bytes a file holds, loading gives a spec or a SpecError."""

from __future__ import annotations

import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkscore.errors import SpecError
from sparkscore.spec import iter_fields
from sparkscore.spec.vocabulary import get_override_keys

FRAGMENTS = [
    *sorted({key.rpartition(".")[2] for key in get_override_keys()}),
    *": \n-{}[]&*!|>'\"%@`#,?~\t\\",
    "\n  ",
    ": ",
    "- ",
    "&a ",
    "*a ",
    "!!python/none ",
    "<<",
    "---\n",
    "1",
    "true",
    "azureml:m:1",
    "path",
    "\\x41",
    "\u2028",
    "é",
]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(FRAGMENTS[:60]) | st.text(max_size=4), children, max_size=3
        )
    ),
    max_leaves=8,
)
documents = st.dictionaries(
    st.sampled_from(sorted({field.path[0] for field in iter_fields()} | {"mini_batch_size"})),
    values,
    max_size=6,
)


def check(make_deployment, content, *, alone):
    try:
        loaded = make_deployment(content, alone=alone)
    except SpecError as error:
        assert error.message == " ".join(error.message.splitlines())
        assert json.dumps(error.attributes, allow_nan=False)
    else:
        assert json.dumps(loaded.spec.record(), allow_nan=True)


@given(st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_load__any_bytes(make_deployment, content):
    check(make_deployment, content, alone=True)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join), st.booleans())
@settings(max_examples=120, deadline=None)
def test_load__any_yaml_like_text(make_deployment, text, alone):
    check(make_deployment, text, alone=alone)


@given(documents, st.booleans())
@settings(max_examples=80, deadline=None)
def test_load__any_structure(make_deployment, document, alone):
    check(make_deployment, yaml.safe_dump(document, allow_unicode=True), alone=alone)
