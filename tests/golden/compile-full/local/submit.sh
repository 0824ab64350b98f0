#!/bin/sh
# Scores with Spark in local mode. Needs Java 17 or later, and a Python with sparkscore.
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
exec "${PYTHON:-python3}" -m sparkscore.driver "$folder/launch.json"
