"""Every option of every recommender, given numbers at and beyond any limit: refused in one sentence, or trained."""

import re
from importlib.util import find_spec

import pytest
import torch

from model.datasets.interactions import Interactions
from model.recommenders.kinds import KINDS, Size, TrainingSet, kind_named
from model.recommenders.learn import learn
from model.recommenders.options import BOUNDS, OptionError, fields_of
from tests.unit.model.planted import LIBRARIES
from tests.unit.model.test_training import log_of

pytestmark = pytest.mark.heavy
NUMBERS = ("-1", "0", "nan", "inf", "-inf", "1e308", "-1e308", str(10**21), "1e400", "0.5")
SMALL = {"epochs": "1", "dim": "4", "batch_size": "64"}


def options_of(name: str) -> dict[str, object]:
    kind = KINDS[name]
    known = fields_of(Size(), kind.recipe().SETTINGS)
    return fields_of(kind.recipe().DEFAULTS) | {o: known[o] for o in sorted({*kind.takes, "history_length", "k"})}


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    log: Interactions = log_of([(user, (user + at) % 6 + 1, 10 * at) for at in range(4) for user in range(8)], 6)
    return TrainingSet(log, log.vocabulary)


def refusal(written: str) -> str:
    """Return why a kind is refused before training; empty if it is not."""
    try:
        kind_named(written).refuse_unknown_options()
    except OptionError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("name", [name for name in KINDS if not (package := LIBRARIES.get(name)) or find_spec(package)])
def test_numbers_beyond_all_limits_are_refused_or_trained(name: str, data: TrainingSet) -> None:
    row = torch.tensor([[1, 2]])
    for option in options_of(name):
        small = "".join(f":{o}={v}" for o, v in SMALL.items() if o in options_of(name) and o != option)
        for number in NUMBERS:
            written = f"{name}:{option}={number}{small}"
            if told := refusal(written):
                assert re.fullmatch(rf"{option} is [^\n]*, not \S*", told), told
                continue
            assert number in {"0", "0.5"}, written
            if option == "l2" and number == "0":
                continue  # whether there is a solution depends on the data
            model = learn(kind_named(written), data, Size(dim=4, k=10), None, lambda _: None).recommender
            items, scores = model(row, torch.ones(1, 2), torch.ones(1, 2), row[:, :0])
            assert not scores.isnan().any(), written
            assert items.max() <= 6


def test_every_option_has_bounds_and_its_default_lies_within() -> None:
    for name in KINDS:
        for option, default in options_of(name).items():
            if default is not None:
                kind_named(f"{name}:{option}={default}")
            assert option in BOUNDS


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("als:dim=-1", r"^dim is 1 to 65,536, not -1$"),
        ("sasrec:dropout=nan", r"^dropout is 0 to 1, not nan$"),
        ("sasrec:k=0", r"^k is 1 to 1,000,000, not 0$"),
        ("popularity:half_life_days=0", r"^half_life_days is 1e-06 to 1,000,000,000, not 0$"),
        ("ease:l2=5:l2=6", "^the option l2 is there twice, as 5 and as 6: leave one out$"),
    ],
)
def test_the_sentence_names_the_option_and_its_bounds(written: str, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        kind_named(written)


def test_a_history_length_of_0_is_the_kinds_own() -> None:
    assert kind_named("gru:history_length=0").sized(Size()).history_length == 99
