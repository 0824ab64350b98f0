#!/bin/sh
# Prints the GPUs of this machine the way Spark asks for them. Needs nvidia-smi.
set -eu
indices=$(nvidia-smi --query-gpu=index --format=csv,noheader)
list=
for index in $indices; do
  list="$list${list:+, }\"$index\""
done
printf '{"name": "gpu", "addresses": [%s]}\n' "$list"
