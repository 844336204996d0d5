"""What every test shares: where the third-party vectors are."""

import os
from pathlib import Path

import pytest

from remit.models.behind_walls import read_through
from remit.sandbox.parsing import parsed

read_through(parsed)  # as control does

VECTORS = Path(os.environ.get("REMIT_VECTORS", Path(__file__).parents[2] / "shared" / "vectors"))


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The directory of test data that nobody on this project wrote; skips loudly where it is absent."""
    if not VECTORS.is_dir():
        pytest.skip(f"VECTORS ABSENT: no {VECTORS}; set REMIT_VECTORS")
    return VECTORS
