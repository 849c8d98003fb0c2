import numpy as np

from flexclim.verify.climate.index_definitions import INDICES, intensity, longest_spell


def test_the_longest_spell_of_each_cell():
    state = np.array([[1, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
    np.testing.assert_array_equal(longest_spell(state), [3, 0, 6])
    np.testing.assert_array_equal(longest_spell(state[:, ::-1]), [3, 0, 6])


def test_missing_days_are_neither_wet_nor_dry():
    days = np.array([0.5, 2.0, np.nan, 4.0, 0.0])
    assert intensity(days, 1.0) == 3
    assert np.isnan(intensity(days[:1], 1.0))
    expected = {"rx1day": 4, "r10mm": 0, "cdd": 1, "cwd": 1, "txn": 0, "su": 0, "fd": 0}
    found = {name: float(INDICES[name].of(days, INDICES[name].limit)) for name in expected}
    assert found == expected
