"""Shell scripts in the shape of the reference's, in their form of 2021 and in the later one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SCORE = """\
import os
from pathlib import Path

import pandas as pd


def init():
    global words
    folder = Path(os.environ["AZUREML_MODEL_DIR"], "model")
    words = set((folder / "words.txt").read_text().split())


def run(mini_batch):
    rows = []
    for path in map(Path, mini_batch):
        rows.append({"file": path.name, "good": len(words & set(path.read_text().split()))})
    return pd.DataFrame(rows)
"""
FLAT = """\
name: words-first
endpoint_name: overridden-by-the-command
model:
  local_path: ./model
code_configuration:
  code:
    local_path: ./code
  scoring_script: score.py
environment:
  conda_file: ./conda.yml
  image: python:3.11
compute: azureml:batch-cluster
resources:
  instance_count: 1
max_concurrency_per_instance: 2
mini_batch_size: 10
output_action: append_row
output_file_name: predictions.csv
retry_settings:
  max_retries: 3
  timeout: 30
error_threshold: -1
logging_level: INFO
"""
NESTED = """\
type: model
name: words-second
endpoint_name: words
description: the same with its settings in a section
model: azureml:words@latest
code_configuration:
  code: code
  scoring_script: score.py
environment:
  name: words-env
  image: python:3.11
  conda_file: conda.yml
compute: azureml:batch-cluster
resources:
  instance_count: 1
settings:
  max_concurrency_per_instance: 2
  mini_batch_size: 2
  output_action: append_row
  output_file_name: predictions.csv
  retry_settings:
    max_retries: 3
    timeout: 300
  error_threshold: -1
  logging_level: info
tags:
  layout: nested
"""

FORM_OF_2021 = """\
set -e
export ENDPOINT_NAME="words-$RANDOM"

sparkscore account set -s "some subscription"
sparkscore configure --defaults group="some-group" workspace="nightly" location="westeurope"

sparkscore compute create --name batch-cluster --type amlcompute --min-instances 0 --max-instances 5
sparkscore batch-endpoint create --name $ENDPOINT_NAME
sparkscore batch-deployment create --name words-first --endpoint-name $ENDPOINT_NAME \\
    --file first.yml --set-default
sparkscore batch-endpoint show --name $ENDPOINT_NAME -o jsonc \\
    --query "{Name:name, Defaults:defaults}"
sparkscore batch-deployment show --name words-first --endpoint-name $ENDPOINT_NAME

check() {
    status=$(sparkscore job show -n $1 --query status -o tsv)
    echo "status of $1: $status"
    if [[ $status == "Completed" ]]; then
        echo "Job completed"
    elif [[ $status == "Failed" ]]; then
        echo "Job failed"; exit 1
    else
        echo "Job status not failed or completed"; exit 2
    fi
}

job=$(sparkscore batch-endpoint invoke --name $ENDPOINT_NAME \\
    --input-local-path ./texts --query name -o tsv)
sparkscore job show -n $job --web
sparkscore job stream -n $job
check $job

sparkscore dataset create --name texts --version 1 --type uri_folder --path ./texts
job=$(sparkscore batch-endpoint invoke --name $ENDPOINT_NAME --input-dataset azureml:texts:1 \\
    --output-path folder:azureml://datastores/workspaceblobstore/paths/$ENDPOINT_NAME/out \\
    --set output_file_name=words.csv max_retries=1 timeout=60 error_threshold=0 \\
    --mini-batch-size 3 --instance-count 2 --query name -o tsv)
sparkscore job stream -n $job
check $job

sparkscore job download -n $job --output-name score --download-path ./downloaded
sparkscore batch-deployment list-jobs --name words-first --endpoint-name $ENDPOINT_NAME \\
    --query [].name
sparkscore batch-deployment delete --name words-first --endpoint-name $ENDPOINT_NAME --yes
sparkscore batch-endpoint delete --name $ENDPOINT_NAME --yes
echo "kept: $(sparkscore job show -n $job --query name -o tsv)"
"""

LATER_FORM = """\
set -e
SUBSCRIPTION=$(sparkscore account show --query id -o tsv)
LOCATION=$(sparkscore workspace show --query location -o tsv)
GROUP=$(sparkscore configure -l --query "[?name=='group'].value" -o tsv)
ACCESS_TOKEN=$(sparkscore account get-access-token --resource https://ml.azure.com \\
    --query accessToken -o tsv)

sparkscore compute create -n batch-cluster --type amlcompute --size small --min-instances 0 \\
    --max-instances 2
sparkscore model create --name words --type custom_model --path model
sparkscore environment create --file environment.yml
sparkscore data create --name texts --type uri_folder --path texts --version 3
version=$(sparkscore model show --name words --label latest --query version -o tsv)
echo "model version $version"

sparkscore batch-endpoint create -n words -f endpoint.yml
sparkscore batch-deployment create -f second.yml --endpoint words --set-default \\
    --set settings.retry_settings.timeout=120 settings.error_threshold=0
sparkscore batch-deployment create --f first.yml --endpoint-name words --name words-first \\
    --set model=azureml:words:$version
sparkscore batch-endpoint update --name words --set defaults.deployment_name=words-first
sparkscore batch-endpoint show -n words --query "defaults.deployment_name" -o tsv

result=$(sparkscore batch-endpoint invoke --name words --input azureml:texts:3 2>&1)
job=$(echo "$result" | grep -o '"name": "[^"]*"' | head -1 | cut -d'"' -f4)
status=""
while [[ $status != "Completed" && $status != "Failed" && $status != "Canceled" ]]; do
    sleep 1
    status=$(sparkscore job show --name $job --query status --output tsv)
done
echo "first: $status"
[[ $status == "Completed" ]]

job=$(sparkscore batch-endpoint invoke --name words --deployment-name words-second \\
    --input ./texts/0.txt --input-type uri_file --output-path ./one \\
    --set output_file_name=one.csv \\
    --job-name one-file --query name -o tsv)
sparkscore job stream -n $job
sparkscore batch-endpoint invoke --name words --deployment-name words-second \\
    --set inputs.texts.type=uri_folder inputs.texts.path=./texts --query name -o tsv > name.txt
sparkscore job stream --name $(cat name.txt)
sparkscore job download --name $(cat name.txt) --all -p all
sparkscore batch-endpoint list-jobs --name words --query [].status -o tsv
sparkscore job list --max-results 2 -o table
sparkscore batch-endpoint delete --name words --yes
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Model, code, files to score, and the YAML files that the scripts name."""
    folder = tmp_path / "project"
    for name in ("model", "code", "texts"):
        (folder / name).mkdir(parents=True)
    (folder / "model" / "words.txt").write_text("good great")
    (folder / "code" / "score.py").write_text(SCORE)
    for number in range(7):
        (folder / "texts" / f"{number}.txt").write_text("a good day" if number else "bad")
    texts = {
        "first.yml": FLAT,
        "second.yml": NESTED,
        "endpoint.yml": "name: words\ndescription: counts good words\nauth_mode: aad_token\n",
        "environment.yml": "name: words-base\nversion: 1\nimage: python:3.11\n",
        "conda.yml": "dependencies:\n  - python=3.11\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def run_script(text: str, folder: Path) -> tuple[int, str, str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SPARKSCORE_CONFIG_DIR": str(folder / "user"),
    }
    for name in ("SPARKSCORE_WORKSPACE", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        environment.pop(name, None)
    done = subprocess.run(
        ["bash", "-c", textwrap.dedent(text)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=580,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_script__in_the_form_of_2021(project: Path) -> None:
    code, out, err = run_script(FORM_OF_2021, project)
    assert code == 0, out + err
    assert out.count("Job completed") == 2
    rows = (project / "downloaded" / "named-outputs" / "score" / "words.csv").read_text()
    assert rows.splitlines() == ["file,good", "0.txt,0", *(f"{n}.txt,1" for n in range(1, 7))]
    assert out.splitlines()[-1].startswith("kept: ")
    assert "{" not in err


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_script__in_the_later_form(project: Path) -> None:
    code, out, err = run_script(LATER_FORM, project)
    assert code == 0, out + err
    assert "model version 1" in out
    assert "first: Completed" in out
    assert (project / "one" / "one.csv").read_text().splitlines() == ["file,good", "0.txt,0"]
    downloaded = project / "all" / "named-outputs" / "score" / "predictions.csv"
    assert len(downloaded.read_text().splitlines()) == 8
    assert (project / "all" / "artifacts" / "summary.json").is_file()
    assert "{" not in err
