"""How much the heavy tests do: a little every day, all of it with ./run-tests.sh --thorough, which sets THOROUGH=1."""

import os

THOROUGH = os.environ.get("THOROUGH") == "1"

# Of the faults of each scenario every n-th is tried; storms are histories of several faults.
FAULT_STRIDE = 1 if THOROUGH else 4
STORMS = 200 if THOROUGH else 10

# Races of cancel against finish, in memory and on the emulator.
RACES, EMULATOR_RACES = (2_000, 100) if THOROUGH else (200, 8)

# Histories of the ledger machine, and the most steps of each.
LEDGER_HISTORIES = 1_000 if THOROUGH else 40
LEDGER_STEPS = 30

# Of the changes by hand of a stored history every n-th is made.
AUDIT_STRIDE = 1 if THOROUGH else 11

# Made-up requests to each function: some derived from the description, more of raw bytes, and those with tokens. Of
# the requests that are odd in one thing every n-th is sent.
DESCRIBED_REQUESTS = 130 if THOROUGH else 10
RAW_REQUESTS = 1_000 if THOROUGH else 60
SIGNED_IN_REQUESTS = 250 if THOROUGH else 20
FUZZ_PROCESSES = 3 if THOROUGH else 1
ODD_STRIDE = 1 if THOROUGH else 3
MIN_FUZZ_REQUESTS = 11_093 if THOROUGH else 1_000

# Entries of the history that is paged while it grows.
LONG_HISTORY = 10_000 if THOROUGH else 1_500

# Purchases whose pictures are opened, and how far apart their combinations are; there are 180.
PICTURES, PICTURES_STRIDE = (300, 1) if THOROUGH else (12, 17)

# Clients of one user on the Functions emulator, which starts a process for each.
CROWD = 32 if THOROUGH else 6

# Characters of each value that is tried in a settings file.
SETTING_VALUE_LENGTH = 4 if THOROUGH else 3
