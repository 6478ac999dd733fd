#!/usr/bin/env bash
# Makes emulator-data/ again from scripts/seed.json: a real export of the Firestore and Auth emulators.
set -euo pipefail
CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.."

source dev/launch.sh
launch dev.emulator_data
