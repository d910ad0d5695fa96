"""Which words carry a verdict?

python -m experiments.why "How do I reset my PIN?" "I forgot my PIN"
python -m experiments.why "How do I reset my PIN?" "I forgot my PIN" output=why.html

For each word: how far the similarity falls without it and, where the network's cosine is a sum over words (the
dense tower with cosine), what the word adds to that sum. Neither TensorFlow nor, unless a run id or a registry URI
is given, MLflow is started.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from siamese.commands.arguments import program_arguments
from siamese.commands.detector import chosen
from siamese.commands.output import note_coverage, read_sentence, require_suffix
from siamese.data.folders import atomic_path
from siamese.data.questions import require_question
from siamese.explanation import heat_map
from siamese.explanation.word_effects import Explanation, WordEffects, why
from siamese.text.inputs import LEAST_KNOWN, as_shares

HEAT_MAPS = (".png", ".html")
LOST = "lost without it"  # similarity: above 0 for words that speak for "the same", as in the heat maps


def run(settings: dict[str, Any], questions: Sequence[str]) -> Explanation:
    """Explain the verdict on two questions and, if `output` is set, draw it."""
    if len(questions) != 2:
        raise ValueError(f"give two questions in quotes, got {len(questions)}")
    for number, question in enumerate(questions, start=1):
        require_question(question, f"question {number}")
    require_suffix("output", settings["output"], HEAT_MAPS)
    explanation = why(chosen(settings), *questions)
    sides = explanation.left, explanation.right
    note_coverage(2, sum(side.known_words < LEAST_KNOWN for side in sides), sum(side.cut for side in sides))
    if settings["output"] is not None:
        with atomic_path(settings["output"]) as new:
            if new.suffix == ".html":
                new.write_text(heat_map.page(explanation), encoding="utf-8")
            else:
                heat_map.figure(explanation).savefig(new, dpi=150)
    return explanation


def lines(explanation: Explanation) -> Iterator[str]:
    """The explanation as text: the verdict, then a line for each word."""
    known = as_shares(np.array([explanation.left.known_words, explanation.right.known_words]))
    yield explanation.verdict + read_sentence(known, explanation.left.cut + explanation.right.cut)
    parts = explanation.contributions
    for axis, side in ((1, explanation.left), (0, explanation.right)):
        yield ""
        yield from _table(side, None if parts is None else parts.sum(axis=axis), explanation.cosine)


def _table(side: WordEffects, of_cosine: np.ndarray | None, cosine: float | None) -> Iterator[str]:
    width = max(map(len, [side.question, *side.words]))
    part_of = "" if cosine is None else f"part of the cosine {cosine:.3f}"
    yield f"{side.question:<{width}}  {LOST}  {part_of}".rstrip()
    for number, (word, effect) in enumerate(zip(side.words, side.effect, strict=True)):
        part = "" if of_cosine is None else f"{of_cosine[number]:>+{len(part_of)}.4f}"
        unread = "  not in the vocabulary" if side.unread[number] else ""
        yield f"{word:<{width}}  {effect:>+{len(LOST)}.4f}  {part}{unread}".rstrip()


def main() -> None:
    """Explain one verdict."""
    settings, questions = program_arguments("why", __doc__)
    for line in lines(run(settings, questions)):
        print(line)
