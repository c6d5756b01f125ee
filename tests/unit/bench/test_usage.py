"""CPU seconds by thread, put together by part."""

from job.bench.usage import Usage, _spent_s, spent_by_part


def test_a_threads_time_is_read_behind_its_name() -> None:
    assert _spent_s("12 (a (b) c) S 1 1 1 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 9 0 77") == 3.0


def test_only_what_was_spent_between_counts() -> None:
    key, new = ("TaskManager", 1, 2, "track-users -> "), ("TaskManager", 1, 3, "update-lists ->")
    parts = spent_by_part(Usage({key: 5.0}, {}), Usage({key: 7.0, new: 1.0}, {}))
    assert parts == {"TaskManager: track-users": 2.0, "TaskManager: update-lists": 1.0}


def test_the_busiest_thread_of_the_worker_stands_apart() -> None:
    threads = {("worker", 9, number, "python3.11"): seconds for number, seconds in ((1, 1.0), (2, 6.0), (3, 0.5))}
    parts = spent_by_part(Usage({}, {}), Usage(threads, {}))
    assert parts == {"worker: busiest thread (the model)": 6.0, "worker: other Python threads": 1.5}
