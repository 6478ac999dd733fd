#!/usr/bin/env bash
# Makes emulator-data/ again from scripts/seed.json: a real export of the Firestore and Auth emulators.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/toolchain.sh
"$PYTHON" scripts/start_emulator.py --check-ports
prepare_toolchain tests

# Apart until it is whole, so that a failure leaves the old data.
export="$PWD/.emulator/export"
rm -rf "$export"
mkdir -p .emulator
"$FIREBASE" emulators:exec --project demo-case-study --only auth,firestore --export-on-exit "$export" \
    ".toolchain/tests-venv/bin/python scripts/seed.py --project demo-case-study --users --accounts"
rm -rf emulator-data
mv "$export" emulator-data
