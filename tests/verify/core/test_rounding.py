import numpy as np
import pytest

from flexclim.verify.core.rounding import tolerance

TWELFTHS = 40 + np.arange(60) / 12
GAUSSIAN = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(96)[0]))


@pytest.mark.parametrize(
    ("here", "there", "angle"),
    [
        (TWELFTHS.round(2), TWELFTHS, False),
        (TWELFTHS, TWELFTHS.round(3), False),
        (TWELFTHS.round(2).astype("float32"), TWELFTHS, False),
        (GAUSSIAN.round(2), GAUSSIAN, True),
        (GAUSSIAN.round(3).astype("float32"), GAUSSIAN, True),
    ],
)
def test_decimals_in_files_are_rounding(here, there, angle):
    assert np.abs(here - there).max() <= tolerance(here, there, angle=angle)


@pytest.mark.parametrize(
    ("there", "angle"),
    [
        (np.arange(0, 10, 0.1), True),
        (np.arange(0.05, 10, 0.1), True),
        (np.array([1000.0, 925.0, 850.0, 700.0]), False),
        (np.array([10.0, 10.1, 10.3, 10.4]), True),
        (np.array([10.05, 10.15, 10.35, 10.45]), True),
        (TWELFTHS, True),
        (GAUSSIAN, True),
    ],
)
def test_coordinates_as_meant_open_no_hole(there, angle):
    step = np.abs(np.diff(there)).min()
    assert tolerance(there, there, angle=angle) == pytest.approx(1e-4 * step)
