"""The steps by which a model's candidates become a list: scaled, filtered, limited, filled up, picked. All pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import neg

from udfs.elements import Candidates
from udfs.hashing import id_hash, unpack
from udfs.lists.entries import Entry, ReasonCode, best_first
from udfs.lists.list_rules import Fallbacks, ListRules

_MODEL = ReasonCode.MODEL


class Filter:
    """A test of whether an item may be shown to the user; `excluded` are packed hashes of those that may not."""

    def __init__(self, excluded: bytes, rules: ListRules) -> None:
        self._packed = excluded
        self._withdrawn = rules.withdrawn

    def __call__(self, item_id: str) -> bool:
        """Return whether the item may be shown."""
        return id_hash(item_id) not in self._excluded and item_id not in self._withdrawn

    def of(self, entries: list[Entry]) -> list[Entry]:
        """Return the entries that may be shown.

        Of a model's candidates, for which the same was excluded, these are nearly always all.
        """
        hashes = {id_hash(item_id) for _, item_id, _ in entries}
        if hashes.isdisjoint(unpack(self._packed)) and not self._withdrawn:
            return entries
        return [entry for entry in entries if self(entry[1])]

    @cached_property
    def _excluded(self) -> frozenset[int]:
        return frozenset(unpack(self._packed))


def blend(
    candidates: Candidates,
    shown: Sequence[tuple[int, float]],
    incumbents: Collection[str],
    rules: ListRules,
    fallbacks: Fallbacks,
) -> list[Entry]:
    """Return the candidates, best first, with scores from 0 (the worst) to 1 (the best), whatever the model's scale.

    Trends are mixed in, and items that were shown again and again without an act are discounted; then incumbents,
    the items of the list before, get the lead of `hysteresis`.
    """
    raw = candidates.scores()
    low = min(raw, default=0.0)
    spread = max(raw, default=0.0) - low or 1.0
    scores = [(score - low) / spread for score in raw]
    if fallbacks.trending:
        trend, share = fallbacks.trending.get, rules.trend_weight
        rows = zip(candidates.items, scores, strict=True)
        scores = [score + share * (trend(item_id, 0.0) - score) for item_id, score in rows]
    if shown:
        times, factor = dict(shown), rules.impression_discount
        rows = zip(candidates.items, scores, strict=True)
        scores = [score * factor ** times.get(id_hash(item_id), 0) for item_id, score in rows]
    if incumbents:
        lead, scale = rules.hysteresis, 1.0 + rules.hysteresis
        rows = zip(candidates.items, scores, strict=True)
        scores = [(score + lead if item_id in incumbents else score) / scale for item_id, score in rows]
    reasons = (_MODEL if because is None else because for because in candidates.because)
    return sorted(zip(map(neg, scores), candidates.items, reasons, strict=True), key=best_first)


def limit_new_items(ranked: list[Entry], before: list[Entry], max_new: int, length: int) -> list[Entry]:
    """Limit the new items among the best to `max_new`; items that were there before take the other places.

    These have their new score, or else their old one. Those that find no place come behind, and then the new items
    beyond the bound: a full group may yet make room for them, and exploring draws from them.
    """
    scored_now = {entry[1]: entry for entry in ranked}
    stayed = sorted((scored_now.get(entry[1], entry) for entry in before), key=best_first)
    known = {item_id for _, item_id, _ in before}
    newcomers = [entry for entry in ranked[:length] if entry[1] not in known]
    # A list that was shorter takes more of them: it is always filled.
    newcomers = newcomers[: max(max_new, length - len(before))]
    places = length - len(newcomers)
    chosen = sorted(stayed[:places] + newcomers, key=best_first)
    taken = {entry[1] for entry in newcomers} | known
    return chosen + stayed[places:] + [entry for entry in ranked if entry[1] not in taken]


def fill(kept: Filter, fallbacks: Fallbacks) -> Iterator[Entry]:
    """Yield trending items, then popular ones; all below everything that was scored."""
    for item_id in fallbacks.trending:
        if kept(item_id):
            yield 0.0, item_id, ReasonCode.TRENDING
    for item_id in fallbacks.popular:
        if kept(item_id):
            yield 0.0, item_id, ReasonCode.POPULAR


def pick(entries: Iterable[Entry], rules: ListRules, groups: Mapping[str, str], *, more: int = 0) -> list[Entry]:
    """Return the first `length` entries, each item once, at most `max_per_group` of one (named) group.

    With `more`, as many are picked beyond these, by the same rule: all together keep the bound, so any choice does.
    """
    picked: dict[str, Entry] = {}
    counts: Counter[str] = Counter()
    most = rules.length + more
    for entry in entries:
        item_id = entry[1]
        if item_id in picked:
            continue
        if rules.max_per_group and (group := groups.get(item_id, "")):
            if counts[group] == rules.max_per_group:
                continue
            counts[group] += 1
        picked[item_id] = entry
        if len(picked) == most:
            break
    return list(picked.values())
