"""Combinations of faults: their text, those drawn from a seed, and the smallest one that still fails.

A combination is written as its faults in order. Before each but the first stands when it strikes: "+1.2" is 1.2 s after
the one before struck, whatever the job does then, and ">0.5" 0.5 s after the job had recovered from the one before.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

_WHEN = re.compile(r"([+>])(\d{1,3}(?:\.\d)?)", re.ASCII)
_MOST, _LONGEST_S = 3, 5.0


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault of a combination.

    Attributes:
        fault: its name.
        after_s: the time since the fault before struck, or since the recovery from it; 0 for the first.
        recovered: whether it waits for the recovery from the one before.
    """

    fault: str
    after_s: float = 0.0
    recovered: bool = False


Combination = tuple[Strike, ...]
"""At least one fault; the first strikes at a moment of its own choice."""


@dataclass(frozen=True, slots=True)
class Trait:
    """The properties of a fault that decide what it can be combined with.

    Attributes:
        needs: the kind of job and cluster.
        touches: something that it changes beside processes; no two of a combination change the same. None if nothing.
    """

    needs: str
    touches: str | None = None


_PLAIN = "plain"
_NO_WAY_BACK = {"ha", "checkpoints"}
"""Flink's high availability restores the newest checkpoint or none, so that one may not be spoiled."""


def text_of(combination: Combination) -> str:
    """Return the text of a combination, as `parse` reads it."""
    first, *others = combination
    later = (f"{'>' if each.recovered else '+'}{each.after_s:g} {each.fault}" for each in others)
    return " ".join([first.fault, *later])


def parse(text: str) -> Combination:
    """Return the combination of a text.

    Raises:
        ValueError: it is none; the message says what is wrong.
    """
    first, *others = text.split() or [""]
    if len(others) % 2:
        msg = f"{text!r} ends with no fault: write NAME +SECONDS NAME, or NAME >SECONDS NAME"
        raise ValueError(msg)
    strikes = [Strike(first)]
    for when, fault in zip(others[::2], others[1::2], strict=True):
        if (found := _WHEN.fullmatch(when)) is None:
            msg = f"{when!r} in {text!r} is no moment: write +1.5, or >1.5 for 1.5 s after the recovery"
            raise ValueError(msg)
        strikes.append(Strike(fault, float(found[2]), found[1] == ">"))
    return tuple(strikes)


def fits(combination: Sequence[Strike], traits: Mapping[str, Trait]) -> bool:
    """Return whether these faults can share a job; those without needs fit any."""
    mine = [traits[each.fault] for each in combination]
    needs = needed(each.needs for each in mine)
    touched = [each.touches for each in mine if each.touches is not None]
    if len(needs) > 1 or len(touched) > len(set(touched)):
        return False
    return not needs | set(touched) >= _NO_WAY_BACK


def needed(needs: Iterable[str]) -> set[str]:
    """Return what is needed beyond a plain job and cluster."""
    return set(needs) - {_PLAIN}


def draw(seed: int, count: int, traits: Mapping[str, Trait]) -> tuple[Combination, ...]:
    """Draw combinations of one to three faults; equal seeds give equal ones, and a higher count only adds some.

    Args:
        seed: the seed.
        count: the number of combinations.
        traits: the faults that can be combined, by name.
    """
    return tuple(_drawn(Random(f"{seed}/{number}"), traits) for number in range(count))


def _drawn(random: Random, traits: Mapping[str, Trait]) -> Combination:
    size = random.randint(1, _MOST)
    strikes = [Strike(random.choice(list(traits)))]
    while len(strikes) < size:
        after_s, recovered = round(random.uniform(0, _LONGEST_S), 1), random.random() < 1 / 2
        others = [Strike(name, after_s, recovered) for name in traits]
        fitting = [each for each in others if fits([*strikes, each], traits)]
        if not fitting:
            break
        strikes.append(random.choice(fitting))
    return tuple(strikes)


def simpler(combination: Combination) -> Iterator[Combination]:
    """Yield what a combination can be made simpler to in one step: fewer faults first, then plainer moments."""
    for number in range(len(combination)):
        rest = combination[:number] + combination[number + 1 :]
        if rest:
            yield (Strike(rest[0].fault), *rest[1:])
    for number, each in enumerate(combination):
        for after_s in (0.0, float(int(each.after_s))):
            if after_s < each.after_s:
                yield (*combination[:number], replace(each, after_s=after_s), *combination[number + 1 :])


def shrink(combination: Combination, fails: Callable[[Combination], bool]) -> Combination:
    """Return a combination that fails, while nothing simpler by one step does.

    Args:
        combination: one that fails.
        fails: returns whether another one fails; it is asked once about each.
    """
    asked: dict[Combination, bool] = {combination: True}

    def still_fails(candidate: Combination) -> bool:
        if candidate not in asked:
            asked[candidate] = fails(candidate)
        return asked[candidate]

    while (smaller := next(filter(still_fails, simpler(combination)), None)) is not None:
        combination = smaller
    return combination
