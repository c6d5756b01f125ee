"""What freshness is worth: the rules on histories small enough to know the answer, and beside a slow reference."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.evaluate import fair_limit, thinned
from model.evaluation.freshness import REFRESHES, Act, LookedUp, Question, Refresh, Serving, Trace, look_up
from model.evaluation.freshness_report import NothingToFindError, Run, Subject, report_on

pytestmark = pytest.mark.heavy
CUT_OFF = 100
ASKED = Question(cut_off=CUT_OFF, popular=("p", "q"), top=2)
BEHAVIOUR, NEVER, POPULAR = ("behaviour", "never", "popular")
TEN = Refresh("ten", 10)
SUBJECT = Subject(dataset="set", recommender="sasrec", model_hash="h", vocabulary=frozenset("abcdpq"))


def clicked(item_id: str, at: int) -> Act:
    return Act(item_id, at, enters=True, makes_known=True)


def trace(*rows: tuple[str, int, str]) -> Trace:
    """Clicks on items at times, and the items of the list that was made after each."""
    acts = [clicked(item_id, at) for item_id, at, _ in rows]
    return Trace(acts, [at for _, at, _ in rows], [tuple(listed) for *_, listed in rows])


def ranks(found: LookedUp, rule: str, serving: Serving = Serving.STORED) -> list[int]:
    return list(found.found[rule, serving].ranking.rank.tolist())


def test_a_behaviour_is_looked_up_in_the_list_just_before_it() -> None:
    found = look_up([trace(("a", 50, "xb"), ("b", 100, "cd"), ("c", 110, "ab"))], ASKED)
    assert found.target == ("b", "c")
    assert ranks(found, BEHAVIOUR) == [2, 1]
    assert ranks(found, NEVER) == [2, 0]


def test_behaviours_of_one_moment_do_not_foretell_each_other() -> None:
    found = look_up([trace(("a", 50, "zz"), ("b", 100, "cd"), ("c", 100, "dd"), ("d", 101, ""))], ASKED)
    assert found.target == ("b", "c", "d")
    assert ranks(found, BEHAVIOUR) == [0, 0, 1]
    assert found.simultaneous == 2


def test_a_refresh_knows_only_what_came_before_it() -> None:
    asked = replace(ASKED, refreshes=(Refresh("behaviour", 1), TEN, Refresh("never", None)))
    history = trace(("a", 50, "aa"), ("b", 109, "cc"), ("c", 110, "dd"), ("d", 119, "ee"), ("d", 120, "dd"))
    found = look_up([history], asked)
    assert found.target == ("b", "c", "d")
    assert ranks(found, "behaviour") == [0, 1, 1]
    assert ranks(found, "ten") == [0, 1, 0]  # at 110 the list of 109 is there, and at 119 the one of 110 is not


def test_a_list_of_before_the_cut_off_is_refreshed_at_it() -> None:
    asked = replace(ASKED, cut_off=105, refreshes=(TEN,))
    found = look_up([trace(("a", 90, "xx"), ("b", 102, "cc"), ("c", 106, "yy"))], asked)
    assert ranks(found, "ten") == [1]  # the tick at 100 would not know of 102, the deployment at 105 does


def test_who_has_no_list_gets_what_is_popular_and_a_short_list_is_filled_up() -> None:
    found = look_up([trace(("q", 100, "c"), ("p", 101, ""))], ASKED)
    assert ranks(found, BEHAVIOUR) == [2, 2]
    assert found.found[BEHAVIOUR, Serving.STORED].without_list == 0.5
    assert found.found[POPULAR, Serving.STORED].without_list == 1


def test_a_server_that_filters_leaves_out_what_was_taken_since() -> None:
    found = look_up([trace(("a", 50, "bcd"), ("b", 100, "cd"), ("c", 101, "d"), ("d", 102, "p"))], ASKED)
    assert ranks(found, NEVER) == [1, 2, 0]
    assert ranks(found, NEVER, Serving.FILTERED) == [1, 1, 1]
    assert ranks(found, POPULAR, Serving.FILTERED) == [0, 0, 0]


def test_an_item_counts_as_new_once_and_impressions_make_nothing_known() -> None:
    shown, disliked = Act("c", 99, enters=False, makes_known=False), Act("b", 99, enters=False, makes_known=True)
    acts = [shown, disliked, *(clicked(item, at) for item, at in (("b", 100), ("c", 101), ("c", 101), ("c", 102)))]
    found = look_up([Trace(acts)], ASKED)
    assert found.target == ("c",)
    assert found.visits == 3


def test_churn_is_the_share_of_a_list_that_is_new() -> None:
    found = look_up([trace(("a", 50, "ab"), ("x", 100, "bc"), ("y", 101, "cb"), ("z", 102, ""))], ASKED)
    assert found.found[BEHAVIOUR, Serving.STORED].churn == pytest.approx((0.5 + 0) / 2)
    assert found.found[NEVER, Serving.STORED].churn == 0
    alone = look_up([trace(("x", 100, "bc"))], ASKED)
    assert math.isnan(alone.found[NEVER, Serving.STORED].churn)


def test_no_user_has_most_of_the_targets() -> None:
    busy = trace(*((str(number), 100 + number, "ab") for number in range(300)))
    others = [trace((str(number), 100, "ab")) for number in range(30)]
    found = look_up([busy, *others], ASKED)
    assert np.bincount(found.user)[0] == 3
    assert found.left_out == 297
    assert len(look_up([busy, *others], replace(ASKED, per_user=100)).target) == 130


def test_rows_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="in order of event time"):
        Trace([clicked("a", 2), clicked("b", 1)])


def test_a_log_without_anything_new_has_no_report() -> None:
    nothing = look_up([trace(("a", 50, "ab"), ("a", 100, "ab"))], ASKED)
    with pytest.raises(NothingToFindError, match="cut-off 100: train with a smaller --cut"):
        report_on(SUBJECT, ASKED, [Run(trends=False, fallbacks=0, looked_up=nothing)])


def test_a_report_compares_each_rule_with_the_next_and_trends_with_none() -> None:
    plain = look_up([trace(("a", 50, "xy"), ("b", 100, "cd"), ("c", 102, "dd"), ("e", 103, ""))], ASKED)
    trendy = look_up([trace(("a", 50, "bx"), ("b", 100, "cd"), ("c", 102, "dd"), ("e", 103, ""))], ASKED)
    runs = [Run(trends=False, fallbacks=0, looked_up=plain), Run(trends=True, fallbacks=4, looked_up=trendy)]
    report = report_on(SUBJECT, ASKED, runs)
    assert (report.targets, report.users, report.outside) == (3, 1, 1)
    assert report.fallbacks == {"trends off": 0, "trends on": 4}
    rates = {(row.trends, row.refreshed): row.hr for row in report.rows if row.serving is Serving.STORED}
    assert rates[False, BEHAVIOUR] == pytest.approx(1 / 3)
    assert rates[True, BEHAVIOUR] == pytest.approx(2 / 3)
    pairs = [(gain.first, gain.second) for gain in report.gains if gain.trends and gain.serving is Serving.STORED]
    assert pairs == [
        ("behaviour", "never"),
        ("behaviour", "minute"),
        ("minute", "hour"),
        ("hour", "day"),
        ("day", "never"),
    ]
    worth = {gain.first: gain.hr.difference for gain in report.gains if gain.trends is None}
    assert worth[BEHAVIOUR] == pytest.approx(1 / 3)


def slow_targets(acts: Sequence[Act]) -> Iterator[tuple[int, str]]:
    """The (time, item) of each target, by the words of the protocol."""
    for number, act in enumerate(acts):
        before = [other for other in acts if other.timestamp < act.timestamp and other.makes_known]
        twin = [other for other in acts[:number] if other.timestamp == act.timestamp and other.enters]
        known = act.item_id in {other.item_id for other in before}
        if act.timestamp >= CUT_OFF and act.enters and not known and act.item_id not in {t.item_id for t in twin}:
            yield act.timestamp, act.item_id


def slow_served(history: Trace, at: int, refresh: Refresh, serving: Serving, asked: Question) -> list[str]:
    """The items that are served, by the words of the protocol."""
    tick = CUT_OFF
    if refresh.period_ms is not None:
        tick = max([tick, *(time for time in range(CUT_OFF, at + 1) if time % refresh.period_ms == 0)])
    lists = [listed for time, listed in zip(history.list_times, history.lists, strict=True) if time < tick]
    shown = [*(lists[-1] if lists and refresh.personal else ()), *asked.popular]
    if serving is Serving.FILTERED:
        taken = {act.item_id for act in history.acts if act.timestamp < at and act.makes_known}
        shown = [item for item in shown if item not in taken]
    return [item for place, item in enumerate(shown) if item not in shown[:place]][: asked.top]


ITEM = st.sampled_from("abcdefpq")
KINDS = st.sampled_from([(True, True), (True, True), (False, True), (False, False)])
ROW = st.tuples(ITEM, st.integers(CUT_OFF - 30, CUT_OFF + 60), KINDS, st.lists(ITEM, max_size=4))
RULES = (Refresh("behaviour", 1), Refresh("seven", 7), Refresh("twenty", 20), *REFRESHES[-2:])


def history_of(rows: Sequence[tuple[str, int, tuple[bool, bool], list[str]]]) -> Trace:
    rows = sorted(rows, key=lambda row: row[1])
    acts = [Act(item, at, enters, known) for item, at, (enters, known), _ in rows]
    return Trace(acts, [at for _, at, *_ in rows], [tuple(listed) for *_, listed in rows])


@given(st.lists(st.lists(ROW, max_size=12), min_size=1, max_size=5), st.integers(1, 4))
def test_the_rules_equal_a_slow_reference(
    users: list[list[tuple[str, int, tuple[bool, bool], list[str]]]], top: int
) -> None:
    histories = [history_of(rows) for rows in users]
    asked = replace(ASKED, top=top, refreshes=RULES)
    wanted = [list(slow_targets(history.acts)) for history in histories]
    limit = fair_limit(np.array([len(targets) for targets in wanted if targets], dtype=np.int64))
    wanted = [[targets[n] for n in thinned(np.arange(len(targets)), limit).tolist()] for targets in wanted]

    found = look_up(histories, asked)

    assert found.target == tuple(item for targets in wanted for _, item in targets)
    assert found.user.tolist() == [user for user, targets in enumerate(wanted) for _ in targets]
    for refresh in RULES:
        for serving in Serving:
            places = []
            for history, targets in zip(histories, wanted, strict=True):
                lists = [(slow_served(history, at, refresh, serving, asked), item) for at, item in targets]
                places += [served.index(item) + 1 if item in served else 0 for served, item in lists]
            assert ranks(found, refresh.name, serving) == places
            times = [
                sorted({act.timestamp for act in history.acts if act.timestamp >= CUT_OFF}) for history in histories
            ]
            served = [
                [slow_served(history, at, refresh, serving, asked) for at in moments]
                for history, moments in zip(histories, times, strict=True)
            ]
            assert found.visits == sum(map(len, times))
            outcome = found.found[refresh.name, serving]
            assert outcome.listed == {item for lists in served for listed in lists for item in listed}
            shares = [
                len(set(after) - set(before)) / len(after)
                for lists in served
                for before, after in pairwise(lists)
                if after
            ]
            expected = sum(shares) / len(shares) if shares else math.nan
            assert outcome.churn == pytest.approx(expected, nan_ok=True)
