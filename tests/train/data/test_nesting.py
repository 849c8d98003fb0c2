import numpy as np

from flexclim.train.data.nesting import Axis


def test_taps_by_hand():
    index, lower, weight = Axis(offset=0.25, ratio=0.5, size=10).taps(1, 3)
    # Positions 0.75, 1.25, 1.75.
    assert index.tolist() == [0, 1, 2]
    assert lower.tolist() == [0, 1, 1]
    np.testing.assert_allclose(weight, [0.75, 0.25, 0.75])
    assert Axis(offset=8.0, ratio=1.0, size=10, wrap=True).taps(0, 4)[0].tolist() == [8, 9, 0, 1]
