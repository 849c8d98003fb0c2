import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real data, or skip; docs/data.md says where its files come from."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FLEXCLIM_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set FLEXCLIM_DATA to its folder")
    return folder
