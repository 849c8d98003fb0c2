from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from flexclim.train.loop import pictures, run
from flexclim.train.loop.logs import open_logs
from flexclim.train.loop.pictures import Sampled, draw_curves, draw_samples
from flexclim.train.loop.validation import Validation


@pytest.fixture
def sampled():
    """Return two targets, three patches and two members of noise."""
    random = np.random.default_rng(0)
    fields = random.normal(size=(2, 3, 2, 16, 16))
    return Sampled(
        names=("u10", "v10"),
        baseline="interpolation",
        base=fields[:, :, 0] / 2,
        truth=fields[:, :, 0],
        members=fields,
        powers=random.random((3, 2, 8)),
    )


def test_maps_and_spectra_of_a_score_lie_in_the_folder_of_the_run(tmp_path, sampled):
    drawn = draw_samples(tmp_path, 500, {"superres": sampled})
    path = tmp_path / "samples" / "superres-00000500.png"
    assert drawn == {"samples/superres": path}
    assert np.ptp(imread(path)) > 0.5
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_rows_are_patches_of_targets_and_columns_show_the_same_range(sampled):
    figure = pictures._maps(sampled)
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == 4 * 4
    assert [axes.get_ylabel() for axes in maps[::4]] == ["u10", "v10", "u10", "v10"]
    assert np.array_equal(maps[2].images[0].get_array(), sampled.members[0, 0, 0])
    assert np.array_equal(maps[12].images[0].get_array(), sampled.base[1, 1])
    assert len({axes.images[0].get_clim() for axes in maps[:4]}) == 1
    spectra = [axes for axes in figure.axes if axes.lines]
    assert len(spectra) == 2
    assert [label.get_text() for label in spectra[1].get_xticklabels()] == ["2", "4", "8", "16"]
    x, y = spectra[1].lines[0].get_data()
    assert (x[0], x[-1]) == (16, 2)
    assert np.array_equal(y, sampled.powers[0, 1])


def test_curves_show_the_log(tmp_path, monkeypatch):
    rows = [{"step": str(n), "loss": str(1 / n), "crps": "0.5" if n == 2 else ""} for n in (1, 2)]
    seen = []
    monkeypatch.setattr(pictures, "_save", lambda figure, path: seen.append((figure, path)))
    assert draw_curves(tmp_path, rows) == {"curves": tmp_path / "curves.png"}
    ((figure, _),) = seen
    lines = {line.get_label(): line.get_data() for axes in figure.axes for line in axes.lines}
    assert np.array_equal(lines["loss"], [[1, 2], [1, 0.5]])
    assert np.array_equal(lines["crps"], [[2], [0.5]])


def test_losses_of_the_two_stages_are_not_joined(tmp_path, monkeypatch):
    """The second stage has another loss, which is no rise of the first one's."""
    rows = [{"step": str(n), "loss": str(n), "crps": "0.5"} for n in (1, 2, 5, 6)]
    seen = []
    monkeypatch.setattr(pictures, "_save", lambda figure, path: seen.append(figure))
    draw_curves(tmp_path, rows, 4)  # the first stage was stopped after 2 of 4 steps
    draw_curves(tmp_path, rows[:2], 4)
    both, first = (one.axes[0].lines for one in seen)
    np.testing.assert_array_equal(both[0].get_ydata(), [1, 2, np.nan, 5, 6])
    assert (both[1].get_label(), both[1].get_xdata()[0]) == ("few-step fine-tuning", 4)
    assert len(first) == 1


def test_a_log_that_holds_no_scores_yet_is_drawn(tmp_path):
    draw_curves(tmp_path, [])
    assert (tmp_path / "curves.png").exists()


@pytest.mark.slow
def test_tensorboard_shows_pictures(tmp_path, sampled):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (log, board) = open_logs(tmp_path, 0, ["tensorboard"], "tiny", {})
    for one in (log, board):
        one.show(7, draw_samples(tmp_path, 7, {"superres": sampled}))
        one.close()
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    (image,) = found.Images("samples/superres")
    assert image.step == 7
    assert image.width > 500


def test_validation_keeps_what_it_sampled(folder, read):
    """Members minus base are what the network added; the truth is the patch's own."""
    opened = run.Run(read(folder), run.Ranks())
    with opened:
        opened.start(resume=True)
        (validation,) = opened._validations.values()
        assert isinstance(validation, Validation)
        validation.scores(opened.learner.network, opened.data.diffusion, 2)
        one, batch = validation.sampled, validation.batch
    assert one.names == ("any",) or len(one.names) == 1
    assert one.truth.shape == (1, 2, 32, 32)
    assert one.members.shape == (1, 2, 2, 32, 32)
    scaled = torch.from_numpy(batch.scale[:, 0, None, None] * batch.residual[:, 0])
    assert np.allclose(one.truth[0] - one.base[0], scaled, atol=1e-5)
    assert np.allclose(one.base[0], batch.inputs[:, 0])
    assert one.powers.shape == (3, 1, 16)
    assert Path(opened.folder).exists()
