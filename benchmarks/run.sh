#!/usr/bin/env bash
# Runs one benchmark, on emulators of its own if it needs any:
# benchmarks/run.sh accepted|detector|drawing|floor|history|latency|load|weekly_report [OPTIONS].
set -euo pipefail
CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.."

source dev/launch.sh
launch benchmarks.run "$@"
