"""Every row names a test that is there, and every key, verb and flag of 2021 has a row."""

from __future__ import annotations

import re

import pytest

from docs.make_reference_table import PAGE, render_page
from tests.architecture.sources import ROOT, module_paths
from tests.cli.reference.rows import SINCE, VERDICTS, read_rows

ROWS = read_rows()

OF_2021 = {
    "Endpoint YAML": "$schema name description auth_mode defaults.deployment_name scoring_uri",
    "Deployment YAML": (
        "$schema name endpoint_name description model: local_path code.local_path scoring_script "
        "environment: conda_file image compute: instance_count max_concurrency_per_instance "
        "mini_batch_size output_action output_file_name max_retries timeout error_threshold "
        "logging_level environment_variables MLflow"
    ),
    "batch-endpoint": "create show update delete --name --file --defaults --yes",
    "batch-endpoint invoke": (
        "--name/-n --deployment-name/-d --input-path folder: file: --input-dataset "
        "--input-local-path --output-path --mini-batch-size/-m --instance-count/-c "
        "output_file_name max_retries timeout error_threshold tabular existing"
    ),
    "batch-deployment": (
        "create show delete list-jobs update list --file --name --endpoint-name --set "
        "--set-default --no-wait --add --remove"
    ),
    "job": "show --name --web/-e --query stream",
    "Other commands": "compute dataset configure --defaults group= workspace=",
    "Every command": "--query json jsonc table tsv yaml --resource-group/-g --workspace-name/-w",
    "REST": (
        "PUT GET PATCH DELETE batchEndpoints/{e}/deployments/{d} $top $skip $orderBy codes models "
        "environments datasets computes datastores?isDefault=true AzureAsyncOperationUri "
        "scoring_uri azureml-model-deployment DataUrl DatasetVersion DatasetId outputDataset "
        "outputFileName commas envelope tokens script"
    ),
}
"""Section -> the words of 2021 that its rows must hold."""


@pytest.mark.parametrize("section", OF_2021)
def test_rows__hold_every_word_of_2021(section: str) -> None:
    items = [row.item for row in ROWS if row.section == section and row.since == "2021"]
    words = " ".join(items)
    assert items
    assert [word for word in OF_2021[section].split() if word not in words] == []


def test_rows__are_well_formed_and_different() -> None:
    assert {row.section for row in ROWS} == set(OF_2021)
    assert {row.since for row in ROWS} == set(SINCE)
    assert {row.verdict for row in ROWS} == set(VERDICTS)
    assert len({(row.section, row.item) for row in ROWS}) == len(ROWS)
    assert [row.item for row in ROWS if row.verdict != "works" and not row.note] == []


def test_rows__name_tests_that_exist() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in module_paths(ROOT / "tests"))
    defined = set(re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE))
    assert {row.test for row in ROWS} - defined == set()


def test_page__table_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == render_page(page), "run: python -m docs.make_reference_table"
