"""What a reader of the report is told about its numbers and pictures."""

NOTES = {
    "crps": "Continuous ranked probability score (fair), in the variable's units. For a single "
    "field it is the mean absolute error. Lower is better.",
    "mae": "Mean absolute error of the ensemble mean.",
    "rmse": "Root mean square error of the ensemble mean.",
    "bias": "Mean error. 0 is best.",
    "spread_skill": "Spread over error of the mean, with the finite-size factor. 1 is best; below "
    "1 the ensemble is too sure of itself.",
    "log_spectral_distance": "Root mean square distance of the power spectrum from the truth's. "
    "0 is best.",
    "energy_score": "CRPS of patches of 8 × 8 cells. Lower is better.",
    "variogram_score": "Whether neighbouring cells differ as much as in the truth. Lower is "
    "better.",
    "ssim": "Structural similarity of the mean. 1 is best.",
    "rfne": "Norm of the error of the mean over the norm of the truth. Lower is better.",
    "brier": "Mean squared error of the probability of the event. Lower is better.",
    "roc_area": "Area under the relative operating characteristic. 1 is best, 0.5 no skill.",
}
CAPTIONS = {
    "spectrum": "Below the black curve variance is missing at that scale, above it there is too "
    "much.",
    "coherence": "1: waves in place; 0: waves unrelated to the truth's. An ensemble counts as its "
    "members on average.",
    "spread_error": "Points sorted by spread. On the diagonal the error is as large as the "
    "ensemble says.",
    "reliability": "On the diagonal, probabilities mean what they say. Grey bars: where a "
    "reliable forecast would lie if all points were independent.",
    "quantiles": "0: as common as in the truth. Values that fall off to the right miss extremes.",
    "series": "CRPS of each time.",
    "worst_case": "The case where the forecast's CRPS is largest, on the truth's colour scale.",
}
