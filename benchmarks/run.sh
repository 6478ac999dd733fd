#!/usr/bin/env bash
# Runs one benchmark against emulators of its own: benchmarks/run.sh floor|history|latency|load|weekly_report [OPTIONS].
set -euo pipefail
CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.."

source dev/launch.sh
launch benchmarks.run "$@"
