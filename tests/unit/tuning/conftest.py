from __future__ import annotations

from pathlib import Path

import pytest

from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from tuning_support import Workshop


@pytest.fixture
def shop(db: Database, clock: FixedClock, tmp_path: Path) -> Workshop:
    return Workshop(db, clock, tmp_path)
