import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify
from flexclim.verify.core.option_checks import check_choice, check_count, check_flag, check_number


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), np.array(2), np.array([2]), xr.DataArray(2.0)]
)
def test_numbers_of_any_type_are_numbers(value):
    assert check_number("threshold", value, 0, 3) == 2
    assert check_count("patch", value) == 2
    assert type(check_number("threshold", value)) is float


@pytest.mark.parametrize(
    "value",
    [None, "2", True, np.nan, np.inf, -0.1, 3.5, 1j, [1, 2], np.zeros(2), xr.DataArray([1, 2]), {}],
)
def test_other_values_are_named(value):
    with pytest.raises(FlexclimError, match=r"^x=.* is not a number from 0 to 3\.$"):
        check_number("x", value, 0, 3)


def test_limits_choices_and_flags():
    with pytest.raises(FlexclimError, match="above 0"):
        check_number("x", 0, 0, above=True)
    assert check_number("x", np.inf, infinite=True) == np.inf
    assert check_choice("by", None, ("a", None)) is None
    for value in (np.zeros(2), ["a"], "b", 1):
        with pytest.raises(FlexclimError, match="use 'a' or None"):
            check_choice("by", value, ("a", None))
    assert check_flag("fair", np.True_) is True
    with pytest.raises(FlexclimError, match="fair=1 is neither"):
        check_flag("fair", 1)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("crps", {"estimator": None}, "estimator=None is unknown"),
        ("crps", {"dim": "level"}, "no dimension 'level'"),
        ("crps", {"dim": 3}, "no dimension 3"),
        ("crps", {"dim": [["lat"]]}, "no dimension"),
        ("spread_skill", {"correction": 1}, "correction=1 is unknown"),
        ("brier", {"threshold": np.nan}, "threshold=nan"),
        ("brier", {"threshold": [0.0, 1.0]}, "threshold="),
        ("brier", {"threshold": 0, "fair": "yes"}, "fair='yes'"),
        ("roc", {"threshold": "high"}, "threshold='high'"),
        ("brier_decomposition", {"threshold": None}, "threshold=None"),
        ("reliability", {"threshold": 0, "level": 90}, "level=90 is not a number from 0 to 1"),
        ("reliability", {"threshold": 0, "independent": 0}, "independent=0"),
        ("contingency", {"threshold": 0, "probability": 0}, "probability=0"),
        ("contingency", {"threshold": 0, "probability": 50}, "probability=50"),
        ("fss", {"threshold": 0, "window": 0}, "window=0"),
        ("fss", {"threshold": 0, "window": 2}, "no central cell"),
        ("fss", {"threshold": 0, "window": [3.5]}, "window=3.5"),
        ("fss", {"threshold": 0, "window": []}, r"window=\[\]"),
        ("ssim", {"data_range": -1}, "data_range=-1"),
        ("energy_score", {"patch": "8"}, "patch='8'"),
        ("energy_score", {"patch": 99}, "does not fit"),
        ("variogram_score", {"patch": 2, "order": 0}, "order=0"),
        ("variogram_score", {"patch": 2, "estimator": "unbiased"}, "estimator='unbiased'"),
        ("lag_correlation", {"lags": 0}, "lags=0"),
        ("spread_error", {"bins": 0}, "bins=0"),
        ("spread_error", {"halves": 4}, "halves=4"),
        ("coherence", {"kind": "ring"}, "kind='ring'"),
        ("coherence", {"kind": np.zeros(2)}, "kind=ndarray of"),
        ("crps", {"dim": xr.DataArray([1.0])}, "no dimension"),
        ("brier", {"threshold": xr.Dataset()}, "threshold=Dataset of"),
        ("coherence", {"edges": None}, "edges=None"),
        ("coherence", {"fill": 0}, "fill=0"),
        ("effective_resolution", {"by": "phase"}, "by='phase'"),
        ("effective_resolution", {"threshold": -1}, "threshold=-1"),
    ],
)
def test_nonsense_is_one_line(ensemble, name, options, words):
    with pytest.raises(FlexclimError, match=words) as found:
        getattr(verify, name)(*ensemble, **options)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(("value", "low"), [(0, 1), (-1, 0), (10**7, 1)])
def test_counts_have_limits(value, low):
    with pytest.raises(FlexclimError, match=r"at least|the largest allowed"):
        check_count("members", value, low)
