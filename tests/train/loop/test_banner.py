import pytest
import torch

from flexclim.train import fit
from flexclim.train.loop import banner
from flexclim.train.loop.processes import Ranks


@pytest.mark.slow
def test_a_run_says_what_it_starts_with(folder, capsys, tiny, finished):
    part = "trainer.only=[decoder.final_layer]", f"start={finished / 'model'}"
    recipe = tiny(folder, "run", "trainer.steps=1", "ensemble.steps=1", *part)
    fit(recipe)
    said = capsys.readouterr().err
    assert said.startswith("tiny\n  device   ")
    assert "threads of" in said
    assert "float32\n" in said
    assert "parameters, 1.22 k of them trained, from /" in said
    # Two components at the 8 times of two days.
    assert "patches of 32 x 32 cells from 16 fields; 2 patches of other times" in said
    assert "1 of denoising + 1 of few-step fine-tuning, each of 2 patches\n" in said


@pytest.mark.parametrize(
    ("precision", "known", "advised"),
    [("bf16", False, True), ("bf16", True, False), ("fp16", True, True), ("float32", False, False)],
)
def test_a_processor_without_instructions_is_told(
    folder, tiny, monkeypatch, precision, known, advised
):
    monkeypatch.setattr(banner, "has_bf16", lambda: known)
    recipe = tiny(folder, "run", f"trainer.precision={precision}")
    cpu = Ranks(world=1, device=torch.device("cpu"))
    said = banner.banner(recipe, [], torch.nn.Linear(2, 2), cpu)
    assert ("set trainer.precision=float32" in said) == advised
