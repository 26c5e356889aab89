#!/usr/bin/env bash
# check.sh RANKER-URL: asks a running ranker as clients from PyPI do: every operation of its OpenAPI
# document by schemathesis, and the rerank routes by the Cohere SDK.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
url=$1
venv=${SEARCHOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/searchop}/clients
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/"
fi
"$venv/bin/python" "$here/cohere_client.py" "$url"
# What fits the schema may still be refused: no schema says that columns are as long as the ids, or
# that 1.0 is no integer.
cd "$(mktemp -d)"
"$venv/bin/schemathesis" run "$url/openapi.json" --checks all --exclude-checks positive_data_acceptance \
  --max-examples "${EXAMPLES:-200}" --seed 1
