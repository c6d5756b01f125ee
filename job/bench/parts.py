"""The parts of a bench, in the order they run."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from job.bench.big_model import measure_big_model
from job.bench.brokered import measure_job_from_kafka, measure_plain_loop, measure_quix
from job.bench.catalogues import measure_catalogues
from job.bench.errors import BenchError
from job.bench.freshness import measure_freshness
from job.bench.incremental import measure_incremental
from job.bench.many_users import measure_users
from job.bench.model_alone import measure_model
from job.bench.plain_pyflink import measure_plain_pyflink
from job.bench.results import Results
from job.bench.serving import measure_serving
from job.bench.state_size import measure_state
from job.bench.whole_job import measure_job
from job.bench.workload import Workload

Part = Callable[[Workload, Results], Any]


def _alone(measure: Callable[[Workload], Any]) -> Part:
    """Make a part of a measurement that needs no other part's result."""
    return lambda workload, _results: measure(workload)


def _freshness(workload: Workload, results: Results) -> Any:
    if results.job is None:
        msg = "freshness is measured at shares of what the job can do: run the part job as well"
        raise BenchError(msg)
    return measure_freshness(workload, results.job.as_set.events_per_s)


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "model": _alone(measure_model),
        "job": _alone(measure_job),
        "plain_pyflink": _alone(measure_plain_pyflink),
        "kafka_job": _alone(measure_job_from_kafka),
        "quixstreams": _alone(measure_quix),
        "plain_loop": _alone(measure_plain_loop),
        "freshness": _freshness,
        "users": _alone(measure_users),
        "state": _alone(measure_state),
        "incremental": _alone(measure_incremental),
        "serving": _alone(measure_serving),
        "big_model": _alone(measure_big_model),
        "catalogues": _alone(measure_catalogues),
    }
)
"""Name -> the function that measures it; the names are the fields of `Results`."""
