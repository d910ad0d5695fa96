"""Tables: options, tests and importances as Markdown."""

from collections.abc import Mapping, Sequence

import numpy as np

from siamese.comparison.conclusion import in_words, signed
from siamese.comparison.options import Group, Option
from siamese.comparison.paired_tests import PairedTest
from siamese.evaluation.tables import markdown, number


def option_table(group: Group, metric: str, most: int | None = None) -> str:
    """A row for each option, at most `most`, best on dev first; baselines below."""
    several = len(group.sizes) > 1
    splits = list(dict.fromkeys(["dev", group.split]))
    head = ["option", *(["training pairs"] if several else []), "seeds"]
    head += [f"{split} {in_words(metric)}: mean ± sd [95 %]" for split in splits]
    head += ["parameters", "training s", "questions/s", "on disk MB"]
    rows = [head]
    for option in (*group.options[:most], *group.baselines):
        name = option.name if option.baseline else f"`{option.name}`"
        rows.append([name, *([f"{option.training_pairs:,}"] if several else []), str(len(option.runs))])
        rows[-1] += [_estimate(option, f"{split}/{metric}") for split in splits]
        costs = [option.mean(name) for name in ("model/parameters", "training/seconds", "model/questions_per_second")]
        rows[-1] += map(number, [*costs, option.mean("model/bytes") / 1e6])
    return markdown(rows)


def tests_table(tests: Sequence[PairedTest], metric: str) -> str:
    """A row for each test, the smallest p-value first."""
    head = ["first", "second", f"{in_words(metric)}, first - second [95 %]", "p", "p (Holm)"]
    rows = [[*head, "only first right", "only second right", "McNemar p", "McNemar p (Holm)"]]
    for test in sorted(tests, key=lambda test: test.difference.p):
        verdicts = test.mcnemar
        rows.append([test.first.name, test.second.name, signed(test.difference), _p(test.difference.p), _p(test.p)])
        rows[-1] += [f"{verdicts.only_first:,}", f"{verdicts.only_second:,}", _p(verdicts.p), _p(test.mcnemar_p)]
    return markdown(rows)


def importance_table(shares: Mapping[str, float]) -> str:
    """A row for each choice."""
    return markdown([["choice", "share of the variance"], *([name, f"{share:.1%}"] for name, share in shares.items())])


def _estimate(option: Option, metric: str) -> str:
    values, estimate = option.values(metric), option.estimate(metric)
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    interval = f" [{estimate.low:.4f}, {estimate.high:.4f}]" if estimate else ""
    return "" if np.isnan(values).any() else f"{np.mean(values):.4f}{spread}{interval}"


def _p(p: float) -> str:
    """
    >>> [_p(value) for value in (0.0432, 0.00001, 1.0)]
    ['0.0432', '< 0.0001', '1.0000']
    """
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"
