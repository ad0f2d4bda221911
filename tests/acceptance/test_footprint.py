"""What an idle platform costs. A bound to notice a regression; the figures are printed."""

from __future__ import annotations

import pytest

from acceptance.installation import Installation

IDLE_BYTES = 500 * 10**6


@pytest.mark.once
@pytest.mark.slow
def test_idle_platform_is_small(own_platform: Installation) -> None:
    seconds = own_platform.start()
    used = own_platform.memory_bytes()
    print(f"\nhealth after {seconds:.1f} s, {used / 1e6:.0f} MB in all processes")
    assert used < IDLE_BYTES
