"""How many planes and members a task takes, worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexclim.planning.task_sizes import ENCODER, TOGETHER_CELLS, TaskSize, choose_task_size

USUAL = {
    "planes": 1000,
    "members": 8,
    "tiles": 1,
    "batch": 16,
    "cells": 256,
    "kept_tiles": 35,
    "entire": True,
    "share": False,
}


@pytest.mark.parametrize(
    ("changes", "planes", "members"),
    [
        ({}, 16, 8),  # 8 passes of 16 windows a step: 128 windows
        ({"planes": 5}, 4, 8),
        ({"planes": 1}, 1, 8),
        ({"members": 1}, 64, 1),  # of 70 windows features are kept
        ({"members": 1, "kept_tiles": 0}, 128, 1),
        ({"members": 3}, 64, 3),
        ({"batch": 1}, 1, 8),
        ({"tiles": 6, "cells": 96 * 128}, 4, 8),
        ({"tiles": 6, "cells": 96 * 128, "entire": False}, 8, 2),
        ({"tiles": 25, "cells": 256**2}, 2, 5),
        ({"tiles": 600, "cells": 2**20}, 1, 1),
        ({"tiles": 600, "cells": 2**20, "share": True}, 1, 4),
        ({"tiles": 600, "cells": 2**23, "share": True}, 1, 1),
    ],
)
def test_tasks_worked_by_hand(changes, planes, members):
    assert choose_task_size(**USUAL | changes) == TaskSize(planes=planes, members=members)


@given(
    planes=st.integers(1, 4000),
    members=st.integers(1, 60),
    tiles=st.integers(1, 40),
    batch=st.sampled_from([1, 5, 16, 64, 256]),
    kept=st.integers(0, 4000),
    entire=st.booleans(),
)
def test_tasks_are_bounded_and_waste_little(planes, members, tiles, batch, kept, entire):
    sizes = {"planes": planes, "members": members, "tiles": tiles, "batch": batch}
    size = choose_task_size(**USUAL | sizes | {"kept_tiles": kept, "entire": entire})
    assert 1 <= size.planes <= planes
    assert 1 <= size.members <= members
    assert 256 * size.planes * size.members <= TOGETHER_CELLS
    windows = size.planes * size.members * tiles
    assert windows <= max(batch * 16, tiles * size.members)
    if tiles <= kept:
        assert size.planes * tiles <= 2 * kept
    if min(planes, kept // tiles) >= 16 * batch:
        passes = -(-windows // batch) + ENCODER * -(-size.planes * tiles // batch)
        least = (windows + ENCODER * size.planes * tiles) / batch
        assert passes <= 1.15 * least
