"""Options of sampling are checked once, where they enter."""

import numpy as np
import pytest

from flexclim.errors import FlexclimError
from flexclim.planning.sampling_options import SamplingOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 0}, "members=0 is not a whole number of at least 1"),
        ({"members": 2.5}, "members=2.5 is not a whole number"),
        ({"members": True}, "members=True is not a whole number"),
        ({"members": 10**12}, "members=1000000000000 is more than 1000000"),
        ({"steps": "2"}, "steps='2' is not a whole number"),
        ({"seed": 0.5}, "seed=0.5 is not a whole number"),
        ({"compile": "no"}, "compile='no' is neither True nor False"),
        ({"non_negative": 1}, "non_negative=1 is neither True nor False"),
        ({"precision": "float64"}, "precision='float64' is not one of float32, bf16, fp16"),
    ],
)
def test_what_is_no_option(options, message):
    with pytest.raises(FlexclimError, match=message):
        SamplingOptions(**options)


def test_whole_numbers_and_switches_of_numpy_are_taken():
    options = SamplingOptions(members=np.int16(3), seed=np.uint64(7), compile=np.False_)
    assert (int(options.members), int(options.seed)) == (3, 7)
