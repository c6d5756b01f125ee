"""What is withdrawn leaves every stored list, which is filled up again by what its user may be shown."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.udfs.default_rules import LISTS
from tests.unit.udfs.examples import scored
from tests.unit.udfs.sweeping import NOW_MS, RULES, Bucket, HashMap, RocksDB
from udfs.lists.list_codec import decode_list
from udfs.lists.list_rules import Fallbacks, Policy
from udfs.lists.user_list import update

ITEMS = "abcdefgh"
some_items = st.lists(st.sampled_from(ITEMS), unique=True)
users_lists = st.dictionaries(st.text("uvw", min_size=1, max_size=4), some_items, max_size=30)


@settings(deadline=None)
@given(users_lists, st.sets(st.sampled_from(ITEMS)), st.sampled_from([HashMap, RocksDB]))
def test_every_list_with_a_withdrawn_item_is_made_anew_once(
    users: dict[str, list[str]], withdrawn: set[str], backend: type[HashMap]
) -> None:
    bucket = Bucket(backend())
    for user, items in users.items():
        bucket.put(user, items)
    rows = bucket.swept(*withdrawn, rules=replace(LISTS, length=8))
    hit = {user for user, items in users.items() if withdrawn & set(items)}
    assert sorted(row["user_id"] for row in rows) == sorted(hit)
    for user, items in users.items():
        after = decode_list(bucket.lists[user])
        assert after.items == [item for item in items if item not in withdrawn]
        assert (after.list_version, after.user_seq) == (4 + (user in hit), 3)
        assert len(after.items) == len(after.scores) == len(after.reasons)
    assert bucket.swept(*withdrawn) == []


@settings(deadline=None)
@given(st.data(), some_items.filter(bool), some_items, some_items, some_items, some_items)
def test_a_swept_list_is_filled_up_by_what_its_user_may_be_shown_and_keeps_the_rest(
    data: st.DataObject, items: list[str], owned: list[str], seen: list[str], trending: list[str], popular: list[str]
) -> None:
    withdrawn = {items[0], *data.draw(st.sets(st.sampled_from(ITEMS)))}
    rules = replace(LISTS, length=8, exclude_seen=True, max_per_group=data.draw(st.none() | st.just(2)))
    groups = {item: "early" if item < "e" else "late" for item in ITEMS}
    fallbacks = Fallbacks(popular, dict.fromkeys(trending, 0.5), snapshot_id=5, groups=groups)
    bucket = Bucket()
    bucket.put("u", items, owned=owned, seen=seen)
    (row,) = bucket.swept(*withdrawn, rules=rules, fallbacks=fallbacks)
    after = decode_list(bucket.lists["u"])
    assert row["items"] == after.items
    assert not withdrawn & set(after.items)
    stayed = [item for item, reason in zip(row["items"], row["reasons"], strict=True) if reason == "model"]
    filled = [item for item in row["items"] if item not in stayed]
    assert row["items"] == stayed + filled
    assert stayed == [item for item in items if item in stayed]
    may_fill = [item for item in dict.fromkeys(trending + popular) if item not in {*owned, *seen, *withdrawn, *stayed}]
    if rules.max_per_group is None:
        assert stayed == [item for item in items if item not in withdrawn]
        assert filled == may_fill[: rules.length - len(stayed)]
    else:
        assert max(Counter(groups[item] for item in row["items"]).values(), default=0) <= 2
        assert set(filled) <= set(may_fill)
    for item, score, reason in zip(row["items"], row["scores"], row["reasons"], strict=True):
        if item in filled:
            assert (score, reason) == (0.0, "trending" if item in trending else "popular")
    assert row["scores"] == sorted(row["scores"], reverse=True)
    assert row["trend_snapshot"] == 5


def test_a_row_says_that_the_item_was_the_cause() -> None:
    bucket = Bucket()
    bucket.put("u", "abc")
    (row,) = bucket.swept("b", fallbacks=Fallbacks(["a", "b", "d"]))
    assert (row["action"], row["item_id"], row["source"], row["items"]) == ("withdrawn", "b", "rules", ["a", "c", "d"])
    assert row["scores"] == [1.0, 0.8, 0.0]
    assert row["reasons"] == ["model", "model", "popular"]
    assert (row["epoch"], row["log_partition"], row["log_offset"]) == (9, 2, 41)
    assert (row["list_version"], row["user_seq"], row["written_at"]) == (5, 3, NOW_MS)
    assert (row["variant"], row["trend_snapshot"]) == (None, None)


def test_a_list_by_history_gets_shorter_and_is_filled_by_nobody() -> None:
    bucket = Bucket()
    bucket.put("u", "abc")
    rules = replace(LISTS, policy=Policy.HISTORY)
    (row,) = bucket.swept("b", rules=rules, fallbacks=Fallbacks(["d"]))
    assert (row["items"], row["policy"]) == (["a", "c"], "history")


def test_the_next_behaviour_goes_on_from_the_swept_list() -> None:
    bucket = Bucket()
    bucket.put("u", "abc")
    bucket.swept("b")
    after = update(decode_list(bucket.lists["u"]), scored(None, seq=4), RULES, Fallbacks(["d"]))
    assert (after.items, after.list_version, after.user_seq) == (["a", "c", "d"], 6, 4)
