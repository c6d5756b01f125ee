"""Remarks on a data set that was read, beside the counts, so that nothing is decided silently."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from model.datasets.action_map import SKIP, ActionMap, can_be_named, is_number, rating_rules
from model.datasets.json_lines import NOT_JSON
from model.datasets.log_rules import LogRules
from model.datasets.reading import ReadReport
from model.event_time import MONTH_FIRST, EventTimes, Unit

_SHOWN_WORDS = 12
_SHOWN_CHARACTERS = 64
_STARS = 5.0


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of reading one source.

    Attributes:
        report: of the behaviours' rows.
        catalogue: of the catalogue's rows, where it has a file of its own.
        times: of the source, with the units that were found.
        actions: the mapping.
        rules: of the log.
        late: rows that are late if the rows are a log.
        is_log: the source's format is that of a log.
    """

    report: ReadReport
    catalogue: ReadReport
    times: EventTimes
    actions: ActionMap
    rules: LogRules
    late: int
    is_log: bool

    def remarks(self) -> tuple[str, ...]:
        """Return a remark of one or two sentences for each thing that the user has to know."""
        return (*self._of_times(), *self._of_actions(), *self._of_rows())

    def _of_times(self) -> Iterator[str]:
        times = self.times
        units = {unit: rows for unit, rows in times.seen.items() if isinstance(unit, Unit)}
        counts = " and ".join(f"{rows:,} in {unit.name.lower()}" for unit, rows in units.items())
        if len(units) > 1:
            yield f"Times are in several units, {counts}: each was read in its own. --time-unit says one for all."
        elif units and times.given is None and times.documented not in (None, *units):
            promised = times.documented.name.lower() if times.documented else ""
            yield f"Times are {counts}, not in {promised} as this source has them: they were read as what they are."
        for unit, rows in times.doubtful.items():
            given = times.given.name.lower() if times.given else ""
            yield f"{rows:,} times look like {unit.name.lower()}, but --time-unit says {given}: is it right?"
        if month_first := times.seen[MONTH_FIRST]:
            yield f"{month_first:,} times were read as month/day/year; if the day stands first, write ISO 8601 instead."
        if times.early and times.given is None:
            yield f"{times.early:,} times are not of 1973 to 2286 in any unit, and were read as the source promises."

    def _of_actions(self) -> Iterator[str]:
        report = self.report
        words = ", ".join(f"{word} ({rows:,})" for word, rows in report.words.most_common(_SHOWN_WORDS))
        unused = sorted(self.actions.given - report.words.keys())
        if unused:
            yield f"No row has {', '.join(map(repr, unused))} of --actions; the rows have: {words}."
        if not report.unmapped:
            return
        rules = rating_rules(report.words) if len(report.words) <= _SHOWN_WORDS else None
        unmapped = sorted(report.unmapped)
        named = ", ".join(repr(word[:_SHOWN_CHARACTERS]) for word in unmapped[:_SHOWN_WORDS])
        example = next((word for word in unmapped if can_be_named(word) and len(word) <= _SHOWN_CHARACTERS), None)
        if rules is not None:
            top = max(map(float, report.words))
            beyond = f", so that 1 to {_STARS:g} were taken for stars of {_STARS:g}" if self._stars_beyond(top) else ""
            yield f"Ratings go up to {top:g}{beyond}. By their scale: --actions {rules}"
        elif all(map(is_number, unmapped)):
            yield f"No rule names the ratings {named}; for all alike: --actions all=click"
        elif example is not None:
            click, skip = (shlex.quote(f"{example}={action}") for action in ("click", SKIP))
            yield f"No rule names {named}; map them, for example --actions {click} (or {skip})."
        else:
            yield f"No rule can name {named}: mend them in the source, or take all rows alike with --actions all=click"

    def _stars_beyond(self, top: float) -> bool:
        return top > _STARS and any(word not in self.report.unmapped and is_number(word) for word in self.report.words)

    def _of_rows(self) -> Iterator[str]:
        report, catalogue = self.report, self.catalogue
        if report.whole_ids:
            yield f"{report.whole_ids:,} ids are written like 12.0 and were taken as 12."
        bad = catalogue.skipped.total() - catalogue.intended
        if bad:
            reasons = ", ".join(f"{reason} ({rows:,})" for reason, rows in catalogue.skipped.most_common(3))
            yield f"{bad:,} of {catalogue.rows:,} rows of the catalogue were not used: {reasons}."
        if self.late and self.is_log and not self.rules.drop_late:
            days = self.rules.allowed_lateness_ms / 86_400_000
            late = f"{self.late:,} rows are over {days:g} days older than a row before them"
            yield f"{late}: as a log in this order the job refuses them. --as-log leaves them out as well."
        if report.rows and set(report.skipped) == {NOT_JSON}:
            yield "No row that was left out is JSON: delimited text is read by recloop data prepare csv --columns ..."
