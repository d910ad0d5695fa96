"""QuestionPairs: labeled pairs of questions, validated once and immutable."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from siamese.data.intents import IntentQuestions
from siamese.data.questions import question_key, text_problem
from siamese.data.texts import Texts, TextsBuilder, factorize, fingerprints

COLLECTION = "collection"  # name of the questions that all parts search, in PairSplits.intents
DUPLICATE_FROM = 0.5  # a label from here on counts as "duplicate" where labels must be binary


@dataclass(frozen=True)
class BadRow:
    """A row of a source that is not a valid pair or question."""

    file: str
    row: int  # 1-based position in the file, its header included
    column: str
    found: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}, column {self.column}: {self.problem} (found {self.found!r})"


@dataclass(frozen=True, eq=False)
class QuestionPairs:
    """Labeled pairs over a table of distinct questions.

    Equality is identity; compare contents by `digest`.

    Attributes:
        questions: the distinct texts, in order of first appearance; any sequence, stored as Texts.
        left, right: `int32[pairs]`, positions in `questions`.
        label: `float32[pairs]` in [0, 1]; 1 means that the two ask the same thing.
    """

    questions: Sequence[str]
    left: np.ndarray
    right: np.ndarray
    label: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "questions", Texts.of(self.questions))
        lengths = {len(self.left), len(self.right), len(self.label)}
        if len(lengths) != 1:
            raise ValueError(
                f"left, right and label must be equally long, got {len(self.left)}, {len(self.right)}, {len(self.label)}"
            )
        for name, dtype in (("left", np.int32), ("right", np.int32), ("label", np.float32)):
            array = np.array(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        outside = ~((self.label >= 0) & (self.label <= 1))
        if outside.any():
            row = int(np.flatnonzero(outside)[0])
            raise ValueError(f"labels must lie in [0, 1], got {self.label[row]} at pair {row}")
        for side in (self.left, self.right):
            if len(side) and not (side.min() >= 0 and side.max() < len(self.questions)):
                raise ValueError(f"a pair points outside the {len(self.questions)} questions of the table")

    @classmethod
    def from_texts(cls, left: Sequence[str], right: Sequence[str], label: Iterable[float]) -> "QuestionPairs":
        """Build the table of distinct questions from two columns of texts.

        >>> pairs = QuestionPairs.from_texts(["a?", "b?"], ["b?", "c?"], [1, 0])
        >>> list(pairs.questions), pairs.left.tolist(), pairs.right.tolist()
        (['a?', 'b?', 'c?'], [0, 1], [1, 2])

        Raises:
            ValueError: a text is missing or is no string, or a label lies outside [0, 1].
        """
        columns = _texts("left", left), _texts("right", right)
        numbers = factorize(*columns)
        questions, known = TextsBuilder(), -1
        for column, number in zip(columns, numbers, strict=True):
            highest = np.maximum.accumulate(np.concatenate([[known], number]))  # rises where a text is new
            questions.add(column.take(np.flatnonzero(np.diff(highest))))
            known = highest[-1]
        return cls(questions.texts(), numbers[0], numbers[1], np.fromiter(label, np.float32))

    def __len__(self) -> int:
        return len(self.label)

    @property
    def duplicate(self) -> np.ndarray:
        """Binary labels, `bool[pairs]`."""
        return self.label >= DUPLICATE_FROM

    @property
    def graded(self) -> bool:
        """Whether any label is neither 0 nor 1."""
        return bool(((self.label > 0) & (self.label < 1)).any())

    @cached_property
    def key_fingerprints(self) -> np.ndarray:
        """Those of the `question_key` of each question, `uint64[questions, 2]`; `take` hands them on."""
        return fingerprints(map(question_key, self.questions))

    def left_texts(self) -> list[str]:
        """The first question of each pair."""
        return list(Texts.of(self.questions).take(self.left))

    def right_texts(self) -> list[str]:
        """The second question of each pair."""
        return list(Texts.of(self.questions).take(self.right))

    def take(self, rows: np.ndarray) -> "QuestionPairs":
        """The pairs at `rows` (`int64[n]` or `bool[pairs]`) over a table of only their questions, in this order."""
        left, right = self.left[rows], self.right[rows]
        used = np.zeros(len(self.questions), bool)
        used[left] = used[right] = True
        position = np.cumsum(used) - 1  # of each used question in the new table
        questions = Texts.of(self.questions).take(np.flatnonzero(used))
        taken = QuestionPairs(questions, position[left], position[right], self.label[rows])
        if "key_fingerprints" in self.__dict__:  # to compute them takes longer than all the rest
            taken.__dict__["key_fingerprints"] = self.key_fingerprints[used]
        return taken

    def digest(self) -> str:
        """SHA-256 of texts, order and labels, as 64 hexadecimal digits."""
        sha = hashlib.sha256()
        for question in Texts.of(self.questions).encoded():
            sha.update(question + b"\x00")
        for array in (self.left, self.right, self.label):
            sha.update(array.tobytes())
        return sha.hexdigest()


@dataclass(frozen=True)
class PairSplits:
    """Training, dev and, where there are any, test pairs of a data source.

    Attributes:
        notes: what was found in the source beyond its pairs, a sentence each.
        intents: for each part, the questions that its pairs were drawn from; empty where no intents are known, or parts
            share questions. Under COLLECTION those that every part searches, where the source says so.
        reserved: dev pairs that choose nothing but a guaranteed threshold, see `siamese.data.reserved`; None for none.
    """

    name: str
    train: QuestionPairs
    dev: QuestionPairs
    test: QuestionPairs | None = None
    bad_rows: tuple[BadRow, ...] = ()
    notes: tuple[str, ...] = ()
    intents: Mapping[str, IntentQuestions] = field(default_factory=dict)
    reserved: QuestionPairs | None = None

    def __post_init__(self) -> None:
        for split, pairs in self.parts().items():
            if len(pairs) == 0:
                raise ValueError(
                    f"data '{self.name}' has no pair in its {split} split; give more rows or larger shares"
                )

    def parts(self) -> dict[str, QuestionPairs]:
        """The splits that exist, by name, in reading order."""
        parts = {"train": self.train, "dev": self.dev, "reserved": self.reserved, "test": self.test}
        return {name: pairs for name, pairs in parts.items() if pairs is not None}

    def held_out(self) -> dict[str, QuestionPairs]:
        """Dev and, where there are any, reserved and test pairs."""
        return {name: pairs for name, pairs in self.parts().items() if name != "train"}


def _texts(name: str, column: Sequence[str]) -> Texts:
    if not isinstance(column, Texts):
        for row, text in enumerate(column, start=1):
            if not isinstance(text, str):
                raise ValueError(f"{name} text {row} of {len(column)}: {text_problem(text)}")
    return Texts.of(column)
