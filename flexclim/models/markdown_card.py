"""A model card in Markdown, with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import yaml

from flexclim.models.card import ModelCard, span

# Identifiers of licences on the hub, in lower case; any other is "other" with a name.
HUB_LICENCES = (
    *("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"),
    *("cc-by-nc-4.0", "etalab-2.0", "gpl-3.0", "mpl-2.0"),
)
SCORES = {
    "crps": "fair CRPS over the error of the baseline",
    "rmse": "RMSE of the one-step mean over that of the baseline",
    "spread_skill": "spread / skill (1 is right)",
    "log_spectral_distance": "log-spectral distance, dB",
}


def markdown_card(card: ModelCard, sha256: str, pictures: Mapping[str, str] | None = None) -> str:
    """Write a card as ``README.md``: use, data and splits, scores, licences, pictures.

    Parameters
    ----------
    card
        Card of the model.
    sha256
        Hash of its ``model.json``, for those who pull it.
    pictures
        Captions of pictures by file name.
    """
    parts = [
        _front_matter(card),
        f"# {card.name}",
        card.description,
        "## Use",
        _use(card),
        "## Variables",
        _variables(card),
        "## Training data",
        _table(
            ("source", "variables", "period", "licence of the data"),
            [(d.source, ", ".join(d.variables), d.period, d.licence) for d in card.data],
        ),
        "## Scores on validation data",
        _table(
            ("score", "value"),
            [(SCORES.get(name, name), f"{value:.4g}") for name, value in card.scores.items()],
        ),
        *(f"![{caption}]({file})" for file, caption in (pictures or {}).items()),
        "## Limits",
        _limits(card),
        "## Licences",
        f"Weights: {card.licence}. Data: as in the table above.",
        "## Origin",
        _origin(card, sha256),
        card.notes,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(card: ModelCard) -> str:
    """Return the YAML that the hub reads: licence, library, tags and scores."""
    licence = card.licence.lower().replace(" ", "-")
    known = licence in HUB_LICENCES
    values: dict[str, object] = {
        "license": licence if known else "other",
        "library_name": "flexclim",
        "tags": ["climate", "weather", "diffusion", *card.tasks, *card.variables],
    }
    if not known:
        values["license_name"] = licence
    scores = [
        {"type": name, "value": card.scores[name], "name": title}
        for name, title in SCORES.items()
        if name in card.scores
    ]
    if scores:
        source = card.data[0].source if card.data else "validation data"
        result = {
            "task": {"type": card.tasks[0] if card.tasks else "downscaling"},
            "dataset": {"type": "other", "name": source},
            "metrics": scores,
        }
        values["model-index"] = [{"name": card.name, "results": [result]}]
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---"


def _use(card: ModelCard) -> str:
    call = f'ds.flex.downscale(factor={card.factors[-1] if card.factors else 4}, model="FOLDER")'
    if not card.factors:
        call = 'ds.flex.forecast(leads=4, model="FOLDER")'
    lines = (
        "[Install flexclim](https://github.com/flexclim/flexclim), then:",
        "",
        "```sh",
        "flexclim models pull PLACE FOLDER",
        "```",
        "",
        "```python",
        "import flexclim",
        "import xarray as xr",
        "",
        'ds = xr.open_dataset("fields.nc")',
        f"ensemble = {call}",
        "```",
    )
    return "\n".join(lines)


def _variables(card: ModelCard) -> str:
    """Return a table of what the model reads and predicts, and its factors or leads."""
    spacing = "{:.4g} to {:.4g} km".format(*card.spacing_km) if card.spacing_km else ""
    rows = {
        "predicts": ", ".join(card.variables) or "any field, one variable at a time",
        "reads": ", ".join(card.inputs),
        "static fields": ", ".join(card.statics),
        "units": ", ".join(f"{name}: {unit}" for name, unit in card.units.items()),
        "factors": ", ".join(map(str, card.factors)),
        "leads": ", ".join(f"{lead:g} h" for lead in card.leads),
        "spacing of the fine grid": spacing,
    }
    return _table(("", ""), [(name, text) for name, text in rows.items() if text])


def _limits(card: ModelCard) -> str:
    """Return the ranges of training; a field beyond them is an extrapolation."""
    rows = [
        (
            one.variable,
            "" if one.spacing_km is None else f"{one.spacing_km:.3g} km",
            f"{span(one.values)} {one.units}".strip(),
            span(one.scale),
        )
        for one in card.coverage
    ]
    known = _table(("variable", "spacing", "values in training", "local scale"), rows)
    return (
        "The model has seen the ranges below. flexclim warns where a field leaves them; scores of "
        f"other regions, seasons and grids can be worse than those above.\n\n{known}"
    )


def _origin(card: ModelCard, sha256: str) -> str:
    trained = ""
    if card.seconds:
        trained = f"Trained in {card.seconds / 60:.0f} minutes on {card.hardware}. "
    precision = f"Weights are stored as {card.precision}. " if card.precision else ""
    written = f"Written by {card.version or 'flexclim'}."
    return f"{trained}{precision}{written} SHA-256 of `model.json`: `{sha256}`."


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; empty without rows."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    if not lines:
        return ""
    names = list(heads)
    head = [" | ".join(names), " | ".join(["---"] * len(names))]
    return "\n".join(f"| {line} |" for line in [*head, *lines])
