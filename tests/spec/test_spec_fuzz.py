"""Whatever bytes a file holds, loading gives a spec or a SpecError."""

from __future__ import annotations

import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkscore.errors import SpecError
from sparkscore.spec import DOCUMENTS, DeploymentSpec, iter_fields, load_document
from sparkscore.spec.vocabulary import get_override_keys

FRAGMENTS = [
    *sorted({key.rpartition(".")[2] for key in get_override_keys(DeploymentSpec)}),
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
    st.sampled_from(
        sorted({field.path[0] for field in iter_fields(DeploymentSpec)} | {"mini_batch_size"})
    ),
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


kinds = st.sampled_from(sorted(DOCUMENTS))
keys_of_any = sorted(
    {field.path[0] for model in DOCUMENTS.values() for field in iter_fields(model)}
)
types = sorted({type_ for model in DOCUMENTS.values() for type_ in model.grammar.types})
members = st.sampled_from([*types, "abc", "s3://a", "uri_file", "spark://a:1"]) | values
any_documents = st.dictionaries(st.sampled_from(keys_of_any), members, max_size=6)
words = st.sampled_from([*keys_of_any, "tags.a=b", "inputs.a.path=x", "a", "=", "0"]) | (
    st.text(max_size=6)
)


def check_document(kind, source, **changes):
    model = DOCUMENTS[kind]
    try:
        spec = load_document(model, source, **changes).spec
    except SpecError as error:
        assert error.message == " ".join(error.message.splitlines())
        assert json.dumps(error.attributes, allow_nan=False)
    else:
        document = json.loads(json.dumps(spec.to_document(), allow_nan=False))
        assert load_document(model, document).spec == spec


@given(kinds, any_documents)
@settings(max_examples=150, deadline=None)
def test_load_document__any_structure(kind, document):
    check_document(kind, {"name": "abc", **document})


@given(kinds, st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join))
@settings(max_examples=100, deadline=None)
def test_load_document__any_yaml_like_text(tmp_path_factory, kind, text):
    file = tmp_path_factory.getbasetemp() / f"{kind}.yml"
    file.write_text(text, encoding="utf-8")
    check_document(kind, file)


@given(kinds, any_documents, st.lists(words), st.lists(st.lists(words, min_size=1)), st.booleans())
@settings(max_examples=150, deadline=None)
def test_load_document__any_changes(kind, document, overrides, lists, force_string):
    check_document(
        kind,
        document,
        overrides=overrides,
        additions=lists,
        removals=lists,
        force_string=force_string,
    )
