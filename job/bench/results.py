"""The parts' results, kept part by part so that one of them can be run again, and the figures computed from them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from job.bench.big_model import BigModel
from job.bench.brokered import PeerSpeed
from job.bench.catalogues import Catalogue
from job.bench.freshness import Freshness
from job.bench.incremental import Incremental
from job.bench.many_users import ManyUsers
from job.bench.model_alone import ModelAlone
from job.bench.plain_pyflink import PlainPyFlink
from job.bench.serving import ServingSpeed
from job.bench.state_size import StateSize
from job.bench.whole_job import TimedJob, WholeJob
from job.bench.workload import LISTED

_OFF = frozenset({"False", "None", "0", "0.0"})
_INCREMENTAL, _BIG_MODEL = "incremental", "big_model"
_APART = frozenset({_INCREMENTAL, _BIG_MODEL})
"""Parts with models of their own, whose figures are no part of the others'."""
COMPARED = (("model", "job", "plain_pyflink"), ("kafka_job", "quixstreams", "plain_loop"), ("job", "freshness"))
"""Parts whose figures form a ratio, which is only meaningful if they are of one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The result of each part; None if it was not run yet."""

    model: ModelAlone | None = None
    job: WholeJob | None = None
    kafka_job: WholeJob | None = None
    plain_pyflink: PlainPyFlink | None = None
    quixstreams: PeerSpeed | None = None
    plain_loop: PeerSpeed | None = None
    freshness: Freshness | None = None
    users: ManyUsers | None = None
    state: StateSize | None = None
    incremental: Incremental | None = None
    serving: ServingSpeed | None = None
    big_model: BigModel | None = None
    catalogues: tuple[Catalogue, ...] | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """The content of a part's file.

    Attributes:
        run: when the bench that measured it began, ISO 8601: parts of one run can be compared.
        scale: the name of that bench's scale.
        seconds: the duration of the part.
        result: the part's result.
    """

    run: str
    scale: str
    seconds: float
    result: Any


def keep(folder: Path, part: str, kept: Kept) -> None:
    """Write a part's file, replacing an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}.json").write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1))


def read_kept(folder: Path) -> tuple[Results, dict[str, Kept]]:
    """Read all parts that are there; a file of another version that doesn't fit the types counts as missing."""
    found: dict[str, Any] = {}
    kept: dict[str, Kept] = {}
    types = {field.name: field.type for field in fields(Results)}
    for name, kind in types.items():
        file = folder / f"{name}.json"
        if not file.is_file():
            continue
        try:
            kept[name] = msgspec.json.decode(file.read_bytes(), type=Kept)
            found[name] = msgspec.convert(kept[name].result, kind)
        except msgspec.ValidationError:
            kept.pop(name, None)
    return Results(**found), kept


def figures(results: Results) -> dict[str, float | None]:
    """Return every figure by its name in the JSON; None if its part was not run."""
    job, kafka, model, fresh = results.job, results.kafka_job, results.model, results.freshness
    pyflink, users, state = results.plain_pyflink, results.users, results.state
    here = None if job is None else job.best.events_per_s
    over_kafka = None if kafka is None else kafka.best.events_per_s
    alone = None if model is None else model.best.users_per_s
    loads = {} if fresh is None else {load.name: load for load in fresh.loads}
    stall = None if fresh is None else fresh.stalls
    shares = _fallback_shares(results)
    incremental, big = results.incremental, results.big_model
    stepped = None if incremental is None else incremental.stepped.events_per_s
    passed = None if incremental is None else incremental.passed.events_per_s
    return {
        "job_events_per_s": here,
        "job_from_kafka_events_per_s": over_kafka,
        "model_users_per_s": alone,
        "job_over_model": _over(here, alone),
        "plain_pyflink_events_per_s": None if pyflink is None else pyflink.best.events_per_s,
        "job_over_plain_pyflink": _over(here, None if pyflink is None else pyflink.best.events_per_s),
        **_peer("quixstreams", over_kafka, results.quixstreams),
        **_peer("plain_loop", over_kafka, results.plain_loop),
        "freshness_idle_p50_ms": loads["idle"].p50_ms if loads else None,
        "freshness_idle_p99_ms": loads["idle"].p99_ms if loads else None,
        "freshness_tenth_load_p99_ms": loads["10% load"].p99_ms if loads else None,
        "freshness_half_load_p99_ms": loads["50% load"].p99_ms if loads else None,
        "freshness_nine_tenths_load_p99_ms": loads["90% load"].p99_ms if loads else None,
        "checkpoint_stall_ms": None if stall is None else stall.median_ms,
        "checkpoint_stall_p90_ms": None if stall is None else stall.p90_ms,
        **_costs(None if job is None else job.as_set),
        "cost_ratio_million_over_thousand_users": None if users is None else users.ratio,
        "many_users": None if users is None else users.many.users,
        "state_bytes_per_user": None if state is None else state.bytes_per_user,
        "checkpoint_bytes_per_user": None if state is None else state.checkpoint_bytes_per_user,
        "fallback_share": _largest([share for part, share in shares.items() if part not in _APART]),
        "cache_hit_share": _largest(
            [each.cache_hit_share for part, each in _that_count(results) if part not in _APART]
        ),
        "big_job_events_per_s": None if big is None else big.job.events_per_s,
        "big_model_users_per_s": None if big is None else big.model.best.users_per_s,
        "big_job_over_model": None if big is None else _over(big.job.events_per_s, big.model.best.users_per_s),
        # These figures are separate from the ratios above, and never part of them.
        "job_events_per_s_incremental": stepped,
        "incremental_over_full": _over(stepped, passed),
        "stepped_share": None if incremental is None else incremental.stepped_share,
        "full_cpu_over_step_cpu": None if incremental is None else incremental.pass_cpu_us / incremental.step_cpu_us,
        **_serving(results.serving),
    }


_COSTS = {
    "cpu_ms_per_event": "cpu_ms_per_event",
    "cores_used": "cores",
    "model_busy": "model_busy",
    "cpu_beside_model_us": "beside_model_us",
    "compiling_us": "compiling_us",
    "sent_bytes": "sent_bytes",
    "returned_bytes": "returned_bytes",
    "checkpoint_ms": "checkpoint_ms",
    "checkpoint_mb": "checkpoint_mb",
}
"""Figure -> the attribute of a timed job that it is."""


def _costs(job: TimedJob | None) -> dict[str, float | None]:
    """Return what the job took, with its own settings."""
    return {name: None if job is None else getattr(job, attribute) for name, attribute in _COSTS.items()}


def void_reasons(results: Results) -> list[str]:
    """Return the reasons why parts do not count; empty if all count."""
    reasons = [
        f"{part}: {share:.2%} of its lists were fallback lists"
        for part, share in _fallback_shares(results).items()
        if share
    ]
    for part, job in _that_count(results):
        if job.cache_hit_share:
            reasons.append(f"{part}: {job.cache_hit_share:.2%} of its scores are from a cache")
        if job.shortest_list < LISTED:
            reasons.append(f"{part}: a list has {job.shortest_list} items, not {LISTED}")
        reasons += [f"{part}: it ran with {key}={value}" for key, value in job.shortcuts.items() if value not in _OFF]
    return reasons


def _that_count(results: Results) -> list[tuple[str, TimedJob]]:
    """Return the timed jobs that figures are taken from, with the names of their parts."""
    parts = (("job", results.job), ("kafka_job", results.kafka_job))
    found = [(name, job) for name, part in parts if part is not None for job in part.that_count]
    if (both := results.incremental) is not None:
        found += [(_INCREMENTAL, both.stepped), (_INCREMENTAL, both.passed)]
    if results.big_model is not None:
        found.append((_BIG_MODEL, results.big_model.job))
    return found


def _fallback_shares(results: Results) -> dict[str, float]:
    """Return part -> share of fallback lists, the largest if a part has several."""
    shares: dict[str, float] = {}
    for part, job in _that_count(results):
        shares[part] = max(shares.get(part, 0.0), job.fallback_share)
    if results.freshness is not None:
        shares["freshness"] = results.freshness.fallback_share
    if (users := results.users) is not None:
        shares["users"] = max(users.few.fallback_share, users.many.fallback_share)
    return shares


def _peer(name: str, job: float | None, peer: PeerSpeed | None) -> dict[str, float | None]:
    documented = None if peer is None else peer.documented_per_s
    batched = None if peer is None else peer.batched_per_s
    return {
        f"{name}_events_per_s": documented,
        f"{name}_batched_events_per_s": batched,
        f"job_over_{name}": _over(job, documented),
        f"job_over_{name}_batched": _over(job, batched),
    }


def _serving(serving: ServingSpeed | None) -> dict[str, float | None]:
    return {
        "read_p99_ms_at_500_a_second": None if serving is None else serving.at_rate.p99_ms,
        "reads_per_s": None if serving is None else serving.at_limit.per_s,
        "reads_over_bare_asgi": None if serving is None else serving.over_bare,
        "lists_followed_per_s": None if serving is None else serving.filled_per_s,
        "own_write_read_p50_ms": None if serving is None else serving.own_writes.p50_ms,
        "own_write_read_p99_ms": None if serving is None else serving.own_writes.p99_ms,
    }


def _over(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _largest(values: list[float]) -> float | None:
    return max(values, default=None)
