"""Work out what is not there yet: the records of every forecast of a case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.skill import rivals, sampling, store, structure
from benchmarks.skill.cases import Case
from benchmarks.skill.fields import spread_out
from benchmarks.skill.records import Record, ranks, score, scores
from benchmarks.skill.rivals import ANYWHERE, BICUBIC, RIVALS, SAME, Study
from flexclim.models.model import Model

Say = Callable[[str], None]
# Rivals whose structure is described as that of members is.
STRUCTURED = (BICUBIC, ANYWHERE, SAME)


@dataclass(frozen=True)
class Row:
    """The records of one forecast: of the fields ``indices``, by variable.

    ``model`` (empty for rivals) and ``steps`` identify the forecast; 0 steps stand for the
    mean of members at one step.
    """

    name: str
    indices: tuple[int, ...]
    records: dict[str, list[Record]]
    model: str = ""
    steps: int | None = None

    def scores(self, names: list[str] | None = None) -> dict[str, float]:
        """Return the scores, averaged over variables."""
        each = [scores(self.records[name]) for name in names or self.records]
        return {key: float(np.mean([one[key] for one in each])) for key in each[0]}

    def series(self) -> np.ndarray:
        """Return the CRPS of each field, averaged over variables."""
        return np.mean([[r["crps"] for r in records] for records in self.records.values()], axis=0)

    def ranks(self) -> list[float]:
        """Return the rank histogram, averaged over variables."""
        found = [ranks(records) for records in self.records.values()]
        return [float(share) for share in np.mean(found, axis=0)]

    def like(self, other: Row) -> Row:
        """Return the part of this row that has the fields and variables of another."""
        records = {name: self.records[name] for name in other.records}
        return replace(self, records=records).of(other.indices)

    def of(self, indices: Sequence[int]) -> Row:
        """Return the part of this row that has some fields."""
        kept = [self.indices.index(index) for index in indices]
        records = {name: [each[i] for i in kept] for name, each in self.records.items()}
        return replace(self, indices=tuple(indices), records=records)


@dataclass
class Result:
    """All rows of a case, and the seam of each model by name."""

    case: Case
    rows: list[Row]
    seams: dict[str, dict[str, dict[str, float]]]

    def row(self, name: str) -> Row | None:
        """Return a rival's row."""
        return next((row for row in self.rows if row.name == name and not row.model), None)

    def model_row(self, model: str, steps: int) -> Row | None:
        """Return a model's row."""
        return next((r for r in self.rows if r.model == model and r.steps == steps), None)


class Bench:
    """Where data lie and results are kept.

    Parameters
    ----------
    folder
        Of the data.
    kept
        Results that were worked out before.
    fields
        At most this many fields per case; None: as the case says.
    steps
        Only these numbers of sampler steps; None: all of the case.
    say
        Takes a line on what was done.
    """

    def __init__(
        self,
        folder: Path,
        kept: store.Store,
        *,
        fields: int | None = None,
        steps: list[int] | None = None,
        say: Say = print,
    ) -> None:
        self.folder, self.kept, self.say = folder, kept, say
        self.fields, self.steps = fields, steps
        self.code = dict(store.code_hashes())

    def run(
        self,
        case: Case,
        models: list[Model],
        *,
        rivals: Iterable[str] = RIVALS,
        seam: bool = False,
    ) -> Result:
        """Score rivals and models on a case.

        Parameters
        ----------
        rivals
            Names of the rivals.
        seam
            Whether to measure the seam of the models as well.
        """
        study = Study(case, self.folder)
        served = [model for model in models if sampling.made(model, case)]
        count = self._get(case, "RIVALS", {"what": "count"}, lambda: len(study.split.test))
        rows = [row for rival in rivals if (row := self._rival(study, rival, count))]
        for model in served:
            for steps, wanted in {model.settings.steps: None, **case.steps}.items():
                if self.steps is not None and steps not in self.steps:
                    continue
                rows += self._model(study, model, steps, self._some(count, wanted))
        seams = {model.name: self._seam(study, model, count) for model in served if seam}
        return Result(case, rows, seams)

    def _some(self, count: int, wanted: int | None) -> list[int]:
        """Return which fields are scored; with a limit, those of the whole that are spread out."""
        if self.fields is None:
            return spread_out(count, wanted)
        limited = spread_out(count, self.fields)
        return [limited[i] for i in spread_out(len(limited), wanted)]

    def _rival(self, study: Study, rival: str, count: int) -> Row | None:
        case, indices = study.case, self._some(count, None)

        def work(index: int) -> dict[str, Record] | None:
            made = {name: rivals.make(study, rival, index, name) for name in case.variables}
            known = {name: values for name, values in made.items() if values is not None}
            full = rival in STRUCTURED
            return self._scores(study, index, known, structured=full) or None

        found = self._all(
            case, "RIVALS", rival, indices, {"rival": rival}, lambda i: lambda: work(i)
        )
        if found[0] is None:
            return None
        records = {name: [record[name] for record in found] for name in case.variables}
        return Row(rival, tuple(indices), records)

    def _model(self, study: Study, model: Model, steps: int, indices: list[int]) -> list[Row]:
        case, made = study.case, sampling.made(model, study.case)

        def work(index: int) -> dict[str, dict[str, Record]]:
            fine = sampling.sample(model, case, study.coarse(index), steps, self.folder)
            members = {name: fine[name].values[:, 0] for name in made}
            found = {
                "members": self._scores(
                    study, index, members, structured=steps >= model.settings.steps
                )
            }
            if steps == 1:
                means = {name: values.mean(0) for name, values in members.items()}
                found["mean"] = self._scores(study, index, means, structured=False)
            return found

        key = {"model": model.sha256, "passes": steps, "members": sampling.MEMBERS}
        name = f"{model.name}, {steps} step" + ("s" if steps > 1 else "")
        found = self._all(case, "MODELS", name, indices, key, lambda i: lambda: work(i))
        rows = []
        if steps == 1:
            means = {n: [one["mean"][n] for one in found] for n in made}
            rows.append(Row(f"{name}, mean", tuple(indices), means, model.name, 0))
        members = {n: [one["members"][n] for one in found] for n in made}
        return [*rows, Row(name, tuple(indices), members, model.name, steps)]

    def _seam(self, study: Study, model: Model, count: int) -> dict[str, dict[str, float]]:
        indices, case = self._some(count, None), study.case

        def work() -> dict[str, dict[str, float]]:
            fields = [study.truth(index) for index in indices]
            return sampling.seam(model, case, fields, self.folder)

        began = time.perf_counter()
        key = {"what": "seam", "model": model.sha256, "fields": indices}
        found: dict[str, dict[str, float]] = self._get(case, "MODELS", key, work)
        self._tell(f"{case.name}: {model.name}, seam", began)
        return found

    def _all(
        self,
        case: Case,
        code: str,
        name: str,
        indices: list[int],
        key: dict[str, Any],
        work: Callable[[int], Callable[[], Any]],
    ) -> list[Any]:
        """Return the results of all fields, and say how long new ones took."""
        began = time.perf_counter()
        found = []
        for number, index in enumerate(indices):
            found.append(self._get(case, code, key | {"field": index}, work(index)))
            self._tell(f"{case.name}: {name}, field {number + 1} of {len(indices)}", began)
        return found

    def _get(self, case: Case, code: str, key: dict[str, Any], work: Callable[[], Any]) -> Any:
        whole = {
            "file": store.file_hash(self.folder / case.file),
            "code": self.code[code],
            "case": [case.name, case.factor, case.variables, case.spectrum, case.wet],
            "regimes": case.regimes,
        }
        return self.kept.get(whole | key, work)

    def _tell(self, text: str, began: float) -> None:
        seconds = time.perf_counter() - began
        self.say(f"{text} ({seconds:.0f} s)")

    def _scores(
        self, study: Study, index: int, fields: dict[str, np.ndarray], *, structured: bool
    ) -> dict[str, Record]:
        """Score what was made of one field: (y, x) or (members, y, x), by variable.

        With ``structured``, describe its structure too (`structure.py`).
        """
        case, truth, coarse = study.case, study.truth(index), study.coarse(index)
        made: dict[str, xr.DataArray] = {}
        found: dict[str, Record] = {}
        for name, values in fields.items():
            known = truth[name]
            dims = known.dims if values.ndim == 2 else ("realization", *known.dims)
            lead = values[None] if values.ndim == 2 else values[:, None]
            made[name] = xr.DataArray(lead, dims=dims, coords=known.coords, attrs=known.attrs)
            found[name] = score(
                made[name],
                known,
                coarse[name],
                factor=case.factor,
                spectrum=case.spectrum,
                extreme=study.extremes[name],
                wet=case.wet,
            )
        if structured:
            regimes = study.regimes(index)
            joint = structure.vectors(xr.Dataset(made), truth[list(made)]) if len(made) > 1 else {}
            for name, field in made.items():
                base = study.interpolated_field(index, name)
                own = structure.measure(field, truth[name], base, regimes)
                found[name]["structure"] = own | joint
        return found
