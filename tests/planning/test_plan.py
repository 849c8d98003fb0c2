"""Members that one task samples."""

import numpy as np
from coarse_fields import region

from flexclim.downscaling import downscale
from flexclim.execution import batch_size
from flexclim.execution.batch_size import pass_bytes
from flexclim.planning import plan as request
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve


def field():
    return region(1, 14, 14)


def test_members_of_large_fields_share_features_that_are_not_kept(toy_model, monkeypatch):
    def planned(coarse):
        asked = DownscalingOptions(factor=4, members=6, batch=2, device="cpu")
        return plan_downscaling(resolve(coarse.to_dataset()), ["t"], ["t"], toy_model, asked)

    def members_a_task():
        return [planned(coarse).sampling.members_a_task for coarse in (field(), field().chunk())]

    options = {"model": toy_model, "members": 6, "batch": 2, "device": "cpu"}
    network, kept = planned(field()).sampling.settings.network, downscale(field(), 4, **options)
    most = pass_bytes(network) // batch_size.feature_bytes(network)
    assert batch_size.keeps_features(network, most, 2)
    assert not batch_size.keeps_features(network, most + 1, 2)
    assert members_a_task() == [1, 1]
    monkeypatch.setattr(request, "keeps_features", lambda *_: False)
    assert members_a_task() == [4, 1]  # of a lazy field one member may be all that is wanted
    again = downscale(field(), 4, **options)
    np.testing.assert_allclose(again, kept, atol=1e-5 * float(kept.std()))
    monkeypatch.setattr(request, "TOGETHER_CELLS", 2 * 56 * 56)
    assert members_a_task() == [2, 1]
    monkeypatch.setattr(request, "TOGETHER_CELLS", 0)
    assert members_a_task() == [1, 1]
