"""The gateway benchmark lives outside the package: its folder joins the path, last, so that its
`profile.py` hides no module of the standard library."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "bench" / "gateway"))
