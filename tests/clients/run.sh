#!/usr/bin/env bash
# Serves the sample in local mode and asks it as clients from PyPI do; see check.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
searchop local up -f config/samples/rankingmodel.yaml --dir "$work" --listen 127.0.0.1:8931 >"$work/up.log" 2>&1 &
up=$!
trap 'kill "$up" 2>/dev/null; wait "$up" || true; rm -rf "$work"' EXIT
until curl -fs http://127.0.0.1:8931/readyz >/dev/null; do
  kill -0 "$up" || { cat "$work/up.log" >&2; exit 1; }
  sleep 0.2
done
tests/clients/check.sh http://127.0.0.1:8931
