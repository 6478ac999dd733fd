#!/usr/bin/env bash
# Runs one benchmark against a Firestore emulator of its own: benchmarks/run.sh latency|load|weekly_report [OPTIONS], --help for them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source scripts/toolchain.sh
prepare_toolchain tests
export FIREBASE
exec "$PYTHON" -m benchmarks.run "$@"
