"""The conclusion in words: which option wins, by how much, and whether that is more than chance."""

from collections.abc import Sequence

from siamese.comparison.options import Group, Option
from siamese.comparison.paired_tests import LEVEL, PairedTest
from siamese.evaluation.significance import Estimate

METRIC_WORDS = {"roc_auc": "ROC AUC", "average_precision": "average precision", "f1": "F1"}
NAMED = 4  # options listed by name in a sentence; the others are counted


def in_words(metric: str) -> str:
    """The name of a metric in prose."""
    return METRIC_WORDS.get(metric, metric)


def conclude(group: Group, tests: Sequence[PairedTest], metric: str) -> list[str]:
    """A paragraph for each number of training pairs, Markdown."""
    paragraphs = []
    for size in group.sizes:
        options, baselines = group.of_size(size)
        subject = _subject(options, baselines, tests)
        heading = f"Trained on {size:,} pairs: " if len(group.sizes) > 1 else ""
        sentences = [f"{heading}{_standing(subject, options[0], metric)}"]
        about = [test for test in tests if subject in (test.first, test.second)]
        for rivals, what in ((options, "option"), (baselines, "baseline")):
            compared = {test.second if test.first is subject else test.first: test for test in about}
            differences = {
                rival: (compared[rival], _seen_from(subject, compared[rival])) for rival in rivals if rival in compared
            }
            sentences += _verdicts(differences, what, f"{group.pairs(group.split):,} {group.split} pairs")
        paragraphs.append(" ".join(sentences))
    return paragraphs


def caveats(group: Group, tests: Sequence[PairedTest]) -> list[str]:
    """Limits of the figures of a group."""
    found = []
    if any(len(option.runs) == 1 for option in group.options):
        found.append(
            "Options with one seed: their intervals and tests hold for that one network; the effect of another seed is "
            "not known."
        )
    if group.split == "dev":
        found.append(
            "The data has no test part, so the tests read dev, which also chose epoch and threshold: figures are slightly "
            "too good, and the first place was chosen on the same pairs."
        )
    tested = {option for test in tests for option in (test.first, test.second) if not option.baseline}
    if len(group.options) > len(tested) > 0:
        found.append(
            f"Tested: {len(tested)} of {len(group.options)} options, the best on dev; `max_options=` takes more."
        )
    return found


def signed(estimate: Estimate) -> str:
    """A difference with its interval.

    >>> signed(Estimate(0.0123, -0.0011, 0.0257, 0.07))
    '+0.0123 [-0.0011, +0.0257]'
    """
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def _subject(options: Sequence[Option], baselines: Sequence[Option], tests: Sequence[PairedTest]) -> Option:
    """The option that all tests share: the best on dev, or the one named by the user."""
    everyone = [*options, *baselines]
    own = [test for test in tests if test.first in everyone]
    return next((option for option in everyone if own and all(option in (t.first, t.second) for t in own)), options[0])


def _standing(subject: Option, best: Option, metric: str) -> str:
    values = subject.values(f"dev/{metric}")
    spread = f" ± {values.std(ddof=1):.4f} over {len(values)} seeds" if len(values) > 1 else ""
    place = "is best on dev" if subject is best else "is what the others are compared with"
    return f"**`{subject.name}`** {place} (dev {in_words(metric)} {values.mean():.4f}{spread})."


def _seen_from(subject: Option, test: PairedTest) -> Estimate:
    found = test.difference
    return found if test.first is subject else Estimate(-found.value, -found.high, -found.low, found.p)


def _verdicts(differences: dict[Option, tuple[PairedTest, Estimate]], what: str, where: str) -> list[str]:
    """A sentence each for the rivals that it beats, that beat it, and without a significant difference."""
    beaten = {each: by for each, (test, by) in differences.items() if test.beyond_chance and by.value > 0}
    better = {each: by for each, (test, by) in differences.items() if test.beyond_chance and by.value < 0}
    equal = {each: by for each, (test, by) in differences.items() if not test.beyond_chance}
    if not differences:
        return []
    if len(equal) == len(differences):
        return [f"No {what} is better or worse than it by more than chance on the {where}: {_list(equal)}."]
    sentences = []
    if beaten:
        sentences.append(
            f"On the {where} it beats {_count(what, beaten)} {_list(beaten)}: more than chance (p < {LEVEL} after Holm)."
        )
    if better:
        sentences.append(f"On the {where} it loses by more than chance to {_count(what, better)} {_list(better)}.")
    if equal:
        sentences.append(f"Chance may explain its difference from {_count(what, equal)} {_list(equal)}.")
    return sentences


def _list(differences: dict[Option, Estimate]) -> str:
    """The closest ones by name and difference, and the number of the others."""
    closest = sorted(differences.items(), key=lambda item: abs(item[1].value))
    named = ", ".join(f"`{option.name}` by {signed(by)}" for option, by in closest[:NAMED])
    more = len(closest) - NAMED
    return f"{named} and {more} more" if more > 0 else named


def _count(what: str, differences: dict[Option, Estimate]) -> str:
    return f"the {what}" if len(differences) == 1 else f"{len(differences)} {what}s,"
