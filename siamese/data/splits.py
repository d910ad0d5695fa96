"""Split pairs by question, prove that the parts share none, and count what they share where a split is given."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from siamese.data.pairs import QuestionPairs, question_key


def question_components(pairs: QuestionPairs, only_duplicates: bool = False) -> np.ndarray:
    """Connected component of every question in the graph whose edges are the pairs.

    Two texts that differ only in case, spacing or Unicode form are one question.

    Args:
        pairs: the graph.
        only_duplicates: keep only the edges of duplicate pairs, so that a component is a set of
            questions known (by transitivity) to ask the same thing.

    Returns:
        `int32[questions]`, the component of `pairs.questions[i]`.
    """
    identity: dict[str, int] = {}
    node = np.array([identity.setdefault(question_key(text), len(identity)) for text in pairs.questions], np.int64)
    edges = pairs.duplicate if only_duplicates else np.ones(len(pairs), bool)
    rows, columns = node[pairs.left[edges]], node[pairs.right[edges]]
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(len(identity), len(identity)))
    component = connected_components(graph, directed=False)[1]
    return component[node].astype(np.int32) if len(node) else np.empty(0, np.int32)


def split_by_component(pairs: QuestionPairs, dev: float, test: float, seed: int) -> dict[str, QuestionPairs]:
    """Split so that no question is in two parts: whole connected components go to one part.

    Components are dealt in random order; one that would overfill dev and test goes to train, so the
    giant component that such graphs often have never distorts the small parts.

    Args:
        pairs: what to split.
        dev, test: shares of the pairs in [0, 1), together below 1; test may be 0.
        seed: of the order in which components are dealt.

    Returns:
        The parts "train", "dev" and, if `test` > 0, "test".

    Raises:
        ValueError: the shares are impossible, or the graph hangs together so much that a part stays
            below half of its share.
    """
    if not (0 < dev < 1 and 0 <= test < 1 and dev + test < 1):
        raise ValueError(f"dev and test must be shares with dev > 0 and dev + test < 1, got dev={dev} and test={test}")
    component = question_components(pairs)[pairs.left]
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
    parts = {name: pairs.take(part[component] == index) for index, name in names.items()}
    for name, share in (("dev", dev), ("test", test)):
        if share and len(parts[name]) < share * len(pairs) / 2:
            raise ValueError(
                f"the questions hang together in too few components ({len(sizes)}) to give {name} its {share:.0%}: "
                f"it got {len(parts[name])} of {len(pairs)} pairs; give dev and test files of their own"
            )
    assert_disjoint(parts)
    return parts


def assert_disjoint(parts: dict[str, QuestionPairs]) -> None:
    """Raise ValueError if any question occurs in two of the parts."""
    owner: dict[str, str] = {}
    for name, pairs in parts.items():
        for question in pairs.questions:
            other = owner.setdefault(question_key(question), name)
            if other != name:
                raise ValueError(f"the question {question!r} is in both {other} and {name}")


def question_overlap(train: QuestionPairs, held_out: QuestionPairs) -> dict[str, int]:
    """How much of a held-out part was seen in training.

    Returns:
        `questions`: how many distinct questions of `held_out` are also in `train`;
        `pairs`: how many pairs of `held_out` contain such a question.
    """
    known = {question_key(question) for question in train.questions}
    seen = np.array([question_key(question) in known for question in held_out.questions], bool)
    return {"questions": int(seen.sum()), "pairs": int((seen[held_out.left] | seen[held_out.right]).sum())}
