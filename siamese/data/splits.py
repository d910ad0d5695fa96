"""Splits of pairs by question, with a proof that the parts share none; overlap of given splits."""

from collections.abc import Callable

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.texts import number_fingerprints

REDRAWN, REDRAWN_PAIRS = 100, 500_000  # splits, and their pairs, that are tried where a part lacks one kind of pairs


def question_components(pairs: QuestionPairs, only_duplicates: bool = False) -> np.ndarray:
    """Connected component of every question in the graph of the pairs: `int32[questions]`.

    Two texts that differ only in case, spacing or Unicode form are one question. With `only_duplicates` the edges are the
    duplicate pairs, so that the questions of a component ask the same thing, by transitivity.
    """
    (number,) = question_numbers(pairs)
    return _components(pairs, number, pairs.duplicate if only_duplicates else np.ones(len(pairs), bool))


def question_numbers(*tables: QuestionPairs) -> list[np.ndarray]:
    """Number questions from 0, `int32[questions]` for each table; equal ones, in whichever, have the same number."""
    return number_fingerprints(*(pairs.key_fingerprints for pairs in tables))


def _components(pairs: QuestionPairs, number: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Components `int32[questions]`, from question numbers `int32[questions]` and the pairs that connect, `bool[pairs]`."""
    left, right = number[pairs.left[edges]], number[pairs.right[edges]]
    nodes = int(number.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(nodes, nodes))
    return connected_components(graph, directed=False)[1][number].astype(np.int32) if nodes else number


def split_by_component(pairs: QuestionPairs, dev: float, test: float, seed: int) -> dict[str, QuestionPairs]:
    """Split so that no question is in two parts: whole connected components go to one part.

    Components are assigned in an order drawn with `seed`. One that would overfill dev and test goes to train, so the giant
    component of such graphs never distorts the small parts. The shares of the pairs lie in [0, 1), together below 1.

    Returns:
        The parts "train", "dev" and, if `test` > 0, "test".

    Raises:
        ValueError: the shares are impossible, or the components are so large that a part stays below half of its share.
    """
    check_shares(dev, test)
    (number,) = question_numbers(pairs)
    component = _components(pairs, number, np.ones(len(pairs), bool))[pairs.left]
    sizes = np.bincount(component, minlength=1)
    part = np.zeros(len(sizes), np.int8)
    room = {1: dev * len(pairs), 2: test * len(pairs)}
    for candidate in np.random.default_rng(seed).permutation(len(sizes)):
        for index in (1, 2):
            if sizes[candidate] <= room[index]:
                part[candidate] = index
                room[index] -= sizes[candidate]
                break
        if max(room.values()) < 1:
            break
    names = {0: "train", 1: "dev", **({2: "test"} if test else {})}
    rows = {name: part[component] == index for index, name in names.items()}
    parts = {name: pairs.take(rows[name]) for name in rows}
    for name, share in (("dev", dev), ("test", test)):
        if share and len(parts[name]) < share * len(pairs) / 2:
            raise ValueError(
                f"the questions hang together in too few components ({len(sizes)}) to give {name} its {share:.0%}: "
                f"it got {len(parts[name])} of {len(pairs)} pairs; give dev and test files of their own"
            )
    numbers = []
    for chosen in rows.values():
        asked = np.zeros(len(number), bool)
        asked[pairs.left[chosen]] = asked[pairs.right[chosen]] = True
        numbers.append(number[asked])
    _refuse_shared(parts, numbers)
    return parts


def split_by_pair(pairs: QuestionPairs, dev: float, test: float, seed: int) -> dict[str, QuestionPairs]:
    """Split at random by pair, as many published results do. Parts share questions, which inflates metrics.

    Arguments and parts as in `split_by_component`; ValueError if the shares are impossible.
    """
    check_shares(dev, test)
    order = np.random.default_rng(seed).permutation(len(pairs))
    first, second = round(len(pairs) * dev), round(len(pairs) * test)
    rows = {"train": order[first + second :], "dev": order[:first]}
    rows |= {"test": order[first : first + second]} if test else {}
    return {name: pairs.take(np.sort(chosen)) for name, chosen in rows.items()}


def with_both_kinds(
    split: Callable[..., dict[str, QuestionPairs]],
    tell: Callable[[str], None],
    pairs: QuestionPairs,
    dev: float,
    test: float,
    seed: int,
) -> dict[str, QuestionPairs]:
    """A split by another function, drawn again, with a note, until every part has duplicates and others.

    The first split is kept if there are none of one kind, or no draw gives both to every part.
    """
    first = split(pairs, dev, test, seed)
    if has_both_kinds(pairs) and not all(map(has_both_kinds, first.values())):
        for again in (
            np.random.SeedSequence(seed).generate_state(min(REDRAWN, 1 + REDRAWN_PAIRS // len(pairs))).tolist()
        ):
            parts = split(pairs, dev, test, again)
            if all(map(has_both_kinds, parts.values())):
                tell(f"the split of seed {seed} had parts without duplicates or without others, so another was drawn")
                return parts
    return first


def has_both_kinds(pairs: QuestionPairs) -> bool:
    """Whether there are duplicates and others."""
    return 0 < int(np.count_nonzero(pairs.duplicate)) < len(pairs)


def require_both_kinds(splits: PairSplits) -> None:
    """Raise ValueError unless dev has duplicates and others, and train duplicates."""
    parts = splits.parts()
    for name in ("train", "dev"):
        share = parts[name].duplicate.mean()
        if 0 < share < 1 or (
            name == "train" and share
        ):  # losses that compare with other pairs learn from duplicates alone
            continue
        missing = "labeled different" if share else "a duplicate"
        if any(has_both_kinds(part) for part in parts.values()):
            remedy = f"add pairs of that kind, raise data.{name}, or give dev a file of its own"
        else:
            remedy = "add pairs of that kind, or see whether data.label names the right column"
        raise ValueError(
            f"none of the {len(parts[name]):,} pairs of {name} in {splits.name} is {missing}; training needs some, and epoch, "
            f"threshold and probabilities are chosen on both kinds: {remedy}"
        )


def assert_disjoint(parts: dict[str, QuestionPairs]) -> None:
    """Raise ValueError if any question occurs in two of the parts."""
    _refuse_shared(parts, question_numbers(*parts.values()))


def check_shares(dev: float, test: float) -> None:
    """Raise ValueError unless dev and test are shares that leave something for training."""
    if not (0 < dev < 1 and 0 <= test < 1 and dev + test < 1):
        raise ValueError(f"dev and test must be shares with dev > 0 and dev + test < 1, got dev={dev} and test={test}")


def contradictions(*tables: QuestionPairs) -> list[tuple[str, str]]:
    """The pairs of questions that are labeled both duplicate and different, in any of the tables and either order."""
    numbers = question_numbers(*tables)
    ends = [np.stack([each[table.left], each[table.right]]) for each, table in zip(numbers, tables, strict=True)]
    low, high = np.sort(np.concatenate(ends, axis=1), axis=0).astype(np.int64)
    pair, first, place = np.unique((low << 32) | high, return_index=True, return_inverse=True)
    duplicates = np.bincount(place, np.concatenate([table.duplicate for table in tables]), len(pair))
    both = np.sort(first[(duplicates > 0) & (duplicates < np.bincount(place, minlength=len(pair)))])
    starts = np.cumsum([0, *map(len, tables)])
    found = []
    for row in both.tolist():
        index = int(np.searchsorted(starts, row, side="right")) - 1
        table, at = tables[index], row - starts[index]
        found.append((table.questions[table.left[at]], table.questions[table.right[at]]))
    return found


def _refuse_shared(parts: dict[str, QuestionPairs], numbers: list[np.ndarray]) -> None:
    """`assert_disjoint`, given the number of every question of every part."""
    names = list(parts)
    owner = np.full(1 + max(number.max(initial=-1) for number in numbers), -1, np.int8)
    for index, (name, number) in enumerate(zip(names, numbers, strict=True)):
        taken = owner[number] >= 0
        if taken.any():
            first = int(np.argmax(taken))
            question, other = parts[name].questions[first], names[owner[number[first]]]
            raise ValueError(f"the question {question!r} is in both {other} and {name}")
        owner[number] = index


def question_overlap(train: QuestionPairs, held_out: QuestionPairs) -> dict[str, int]:
    """How many distinct questions of `held_out` are also in `train`, and how many pairs contain such a question."""
    known, asked = question_numbers(train, held_out)
    seen = np.isin(asked, known)
    return {"questions": int(seen.sum()), "pairs": int((seen[held_out.left] | seen[held_out.right]).sum())}
