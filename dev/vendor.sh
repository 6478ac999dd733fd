#!/usr/bin/env bash
# Fetches the libraries that the console's page loads into hosting/public/vendor, unless they are there.
set -euo pipefail
CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.."

source dev/launch.sh
launch dev.vendor
