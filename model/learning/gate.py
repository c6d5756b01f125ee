"""The gate that lets a candidate take the place of what serves, by what was measured of both. Pure."""

from dataclasses import dataclass

from model.evaluation.measures import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds of the gate.

    Attributes:
        worse_by: share of the served model's NDCG@10 that a candidate may surely not lose; 0 asks that it is better.
        least_coverage: share of the number of items in the served model's lists that a candidate's have to reach.
        slowest: multiple of the served model's time for one batch that a candidate may take.
        least_targets: fewer targets decide nothing.
    """

    worse_by: float = 0.1
    least_coverage: float = 0.5
    slowest: float = 3.0
    least_targets: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One model's figures on the targets of a round.

    Attributes:
        hr: HR@10.
        ndcg: NDCG@10.
        listed: number of different items in its lists of ten.
        batch_ms: time that it takes for one batch of histories, ms; only the ratio of two such times means anything.
    """

    hr: float
    ndcg: float
    listed: int
    batch_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The measurements that a decision rests on.

    Attributes:
        targets: behaviours that neither model was trained on.
        users: number of users whose behaviours they are.
        candidate: of the candidate.
        served: of the model that serves.
        gain: the candidate's NDCG@10 less the served model's, paired by target; users are resampled.
        fault: a fault in the candidate's answers, in words; None if there is none.
    """

    targets: int
    users: int
    candidate: Side
    served: Side
    gain: Interval
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer, and its reason in a sentence."""

    promoted: bool
    reason: str


def judge(found: Evidence, bounds: Bounds) -> Verdict:
    """Let a candidate pass if nothing speaks against it; a figure that is no number does."""
    checks = (_targets, _accuracy, _coverage, _time)
    against = _answers(found) or next((problem for check in checks if (problem := check(found, bounds))), None)
    if against:
        return Verdict(promoted=False, reason=against)
    how = "better" if found.gain.low > 0 else "not worse"
    return Verdict(promoted=True, reason=f"{how}: NDCG@10 {_shown(found)}")


def _answers(found: Evidence) -> str | None:
    return None if found.fault is None else f"its answers cannot be served: {found.fault}"


def _targets(found: Evidence, bounds: Bounds) -> str | None:
    if found.targets >= bounds.least_targets:
        return None
    return f"only {found.targets} behaviours can be foreseen, and {bounds.least_targets} are needed to decide"


def _accuracy(found: Evidence, bounds: Bounds) -> str | None:
    allowed = bounds.worse_by * found.served.ndcg
    if found.gain.low > -allowed or (found.gain.low == -allowed and bounds.worse_by > 0):
        return None
    asked = f"not surely within {allowed:.4f} of what serves" if bounds.worse_by else "not surely better"
    return f"{asked}: NDCG@10 {_shown(found)}"


def _coverage(found: Evidence, bounds: Bounds) -> str | None:
    listed, others = found.candidate.listed, found.served.listed
    if listed >= bounds.least_coverage * others:
        return None
    return f"its lists have {listed:,} different items, those of what serves {others:,}"


def _time(found: Evidence, bounds: Bounds) -> str | None:
    took, other = found.candidate.batch_ms, found.served.batch_ms
    if took <= bounds.slowest * other:
        return None
    return f"a batch takes {took:.1f} ms, with what serves {other:.1f} ms"


def _shown(found: Evidence) -> str:
    gain = found.gain
    figures = f"{found.candidate.ndcg:.4f} for {found.served.ndcg:.4f}"
    return f"{figures}, {gain.difference:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
