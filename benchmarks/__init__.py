"""Programs that print figures; none is a test, and none fails because a machine is slow.

Run through benchmarks/run.sh. The one place that puts on the path what they share with functions/ and tests/.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / folder) for folder in ("functions", "scripts", "tests/support")]
