"""The crash tests' own modules are found beside this file, by the tests and by the drivers that they start."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
