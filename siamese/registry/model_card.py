"""Model card: what a trained detector is for, how it was made, how good it is and how to use it, in Markdown.

The sections follow Mitchell et al. 2019 and the cards of the Hugging Face hub. The card is kept with the run and in the
folder of the detector. It is text: no program reads it.
"""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan

from siamese.data.pairs import PairSplits
from siamese.detector import Detector
from siamese.evaluation.guarantees import NotGuaranteedError
from siamese.evaluation.report import Report, metric_rows
from siamese.evaluation.tables import markdown, number
from siamese.evaluation.thresholds import DevScores, PrecisionNotReachedError, choose_threshold
from siamese.pretrained.joined import JoinedVectorizer
from siamese.serving.protocol import EXAMPLE, curl
from siamese.text.vectorizer import Vectorizer

FILE = "MODEL_CARD.md"
PARTS = (
    "text",
    "vectors",
    "encoder",
    "tower",
    "similarity",
    "loss",
    "weighting",
    "optimizer",
    "schedule",
    "training",
    "subset",
)
GUARANTEES = ("guarantee@0.9", "guarantee@0.95")
CRITERIA = ("best_accuracy", "best_f1", "precision@0.9", "precision@0.95", "recall@0.9", "recall@0.95")
BESIDE_BASELINES = ("accuracy", "roc_auc", "average_precision")
PACKAGES = ("tensorflow", "keras", "numpy", "tokenizers", "mlflow")
A_BAG = "The tower pools words as a bag: it sees neither their order nor what a negation refers to."
ORDER = {  # what a tower sees of the order of words
    "averaging": A_BAG,
    "dense": A_BAG,
    "conv1d": "The tower sees a few neighboring words at a time: no order and no negation beyond them.",
    "encoder": "What the network sees of the order of words is what its sentence encoder sees.",
    "bilstm": "The tower reads words in order, but a negation may still change the similarity too little.",
    "attention": "The tower reads each word with all others, in order unless tower.positions is false; a negation may still "
    "change the similarity too little.",
}
OWN_FILE = "Your own file: its license, and the consent of those who wrote it, apply to this model too."
LICENSE = {  # by the function that brings the pairs
    "corpus": "The questions ship with this project under its MIT license; siamese/data/corpora/README.md describes them.",
    "pair_file": OWN_FILE,
    "intent_file": OWN_FILE,
    "tfds_pairs": "The license of its authors applies: https://www.tensorflow.org/datasets/catalog/",
}


@dataclass(frozen=True)
class Training:
    """What a card says of a training.

    Attributes:
        run_id, commit: its run in MLflow, and the project's commit in git; "" if unknown.
        command: how to repeat it, Markdown.
        settings: the composed config by dotted names, as `tracking.flatten` gives it.
        splits, reports: the pairs; reports of dev and, where there is one, of test.
        baselines: the metrics of each, "split/name" -> value; empty if none was measured.
        cost: parameters, bytes of the detector, questions_per_second, and seconds of training.
    """

    run_id: str
    commit: str
    command: str
    settings: Mapping[str, object]
    splits: PairSplits
    reports: Mapping[str, Report]
    baselines: Mapping[str, Mapping[str, float]]
    cost: Mapping[str, float]


def model_card(detector: Detector, training: Training) -> str:
    """The card of a detector that was just trained."""
    settings, splits, cost = training.settings, training.splits, training.cost
    tower, source, (left, right) = str(settings["tower"]), str(settings["data"]), EXAMPLE
    dataset = str(settings["data.name"]).partition("/")[0] if source == "tfds_pairs" else ""
    return f"""# Do two questions ask the same thing?

A Siamese network: one {tower} tower embeds each question, and the {settings["similarity"]} similarity of the two embeddings,
in [0, 1], is compared with a threshold.

## Uses

Intended: to find duplicates among questions like those that it was trained on, for example in a forum or a help desk, and
to propose an answered question to whoever asks. A person should read what it proposes before anything is deleted.
Not intended: decisions about people, and texts that are not questions.

## Limits

- {ORDER.get(tower, "What the tower sees of the order of words is up to its code.")}
- It knows the language and the words of its training questions; it was measured in no other.
{_encoder(detector, settings)}{_word_rows(settings)}\
- The metrics hold for pairs like those below. Where other questions are asked, measure with your own pairs:
  `python -m experiments.evaluate`. Where another share of the pairs are duplicates, give it: `prior=0.01`.

## How to use it

In Python, with the folder that holds this file:

    from siamese.detector import Detector

    detector = Detector.load("FOLDER")
    pairs = [("{left}", "{right}")]
    detector.similarity(pairs), detector.is_duplicate(pairs)

On the command line, and over HTTP:

    python -m experiments.predict run={training.run_id} "{left}" "{right}"
    python -m experiments.serve run={training.run_id} port=5002
    {curl("http://127.0.0.1:5002")}
{_plugins(detector)}
## Data

{splits.name}. {LICENSE.get(source, "Its license is not known here.")}{dataset}

{_data_table(splits)}

## Training

{_settings_table(settings)}

The seed is {settings["seed"]}. {training.command}

## Metrics

Values with 95 % intervals (bootstrap over pairs). Epoch, threshold and calibration were chosen on dev.

{markdown(metric_rows(training.reports))}
{_beside_baselines(training.reports, training.baselines)}
## Thresholds

{_thresholds(detector, training.reports["dev"].scores())}

## Cost

| parameters | MB on disk | training s | questions encoded per second, where it was trained |
| --- | --- | --- | --- |
| {cost["parameters"]:,.0f} | {number(cost["bytes"] / 1e6)} | {number(cost["seconds"])} | {number(cost["questions_per_second"])} |

## Versions

Run {training.run_id}; git commit {training.commit or "unknown"}; Python {platform.python_version()}; \
{", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)}.
"""


def _plugins(detector: Detector) -> str:
    """What loads the user's own layers, if there are any."""
    modules = ",".join(detector.network.plugins)
    if not modules:
        return ""
    return f"""
It has layers of its author's own. Before `Detector.load`, import {modules} in Python; on the command line, give each program
`plugins={modules}`.
"""


def _encoder(detector: Detector, settings: Mapping[str, object]) -> str:
    """The sentence encoder that the network builds on, if there is one."""
    if isinstance(detector.vectorizer, Vectorizer):
        return ""
    encoder = detector.vectorizer.encoder.describe()
    beside = ""
    if isinstance(detector.vectorizer, JoinedVectorizer):
        beside = " A trained linear map of its vector stands behind what the tower makes of the words."
    return (
        f"- It reads questions through the sentence encoder {encoder['name']} (SHA-256 {encoder['digest'][:16]}…; license: "
        f"{encoder['license']}), which others trained on: {encoder['trained_on']}. Metrics on such texts flatter it.{beside}\n"
    )


def _word_rows(settings: Mapping[str, object]) -> str:
    """The sentence encoder that the first word vectors come from, if there is one."""
    name, seen = (settings.get(f"vectors.encoder.{key}") for key in ("name", "trained_on"))
    if name is None:
        return ""
    return (
        f"- Its word vectors started from those of the sentence encoder {name}, which others trained on: {seen}. Metrics on such "
        "texts may flatter it.\n"
    )


def _data_table(splits: PairSplits) -> str:
    rows = [["", "pairs", "duplicates", "digest"]]
    for name, pairs in splits.parts().items():
        rows.append([name, f"{len(pairs):,}", f"{pairs.duplicate.mean():.1%}", f"`{pairs.digest()}`"])
    return markdown(rows)


def _settings_table(settings: Mapping[str, object]) -> str:
    rows = []
    for part in PARTS:
        own = {name.removeprefix(f"{part}."): value for name, value in settings.items() if name.startswith(f"{part}.")}
        chosen = ", ".join(f"{name}={value}" for name, value in own.items())
        rows.append([part, str(settings.get(part, "")), chosen])
    return markdown([["part", "choice", "settings"], *rows])


def _beside_baselines(reports: Mapping[str, Report], baselines: Mapping[str, Mapping[str, float]]) -> str:
    """A table of the network and the baselines; nothing if there is none."""
    if not baselines:
        return ""
    own = {f"{split}/{name}": value for split, each in reports.items() for name, value in each.metrics.items()}
    columns = [f"{split}/{metric}" for split in reports for metric in BESIDE_BASELINES]
    networks = {"this network": own, **baselines}
    rows = [[name, *(f"{metrics.get(column, nan):.4f}" for column in columns)] for name, metrics in networks.items()]
    return f"\n{markdown([['', *columns], *rows])}\n"


def _thresholds(detector: Detector, dev: DevScores) -> str:
    """The threshold in use, what others give on dev, and how to ask for them."""
    chosen, rows = detector.calibration, []
    for criterion in (*CRITERIA, *(GUARANTEES if dev.reserved else ())):
        try:
            point = choose_threshold(dev, criterion)
        except (PrecisionNotReachedError, NotGuaranteedError) as problem:
            shown = "not reached on dev" if isinstance(problem, PrecisionNotReachedError) else "not guaranteed"
            rows.append([criterion, shown, "", ""])
        else:
            rows.append([criterion, f"{point.threshold:.6g}", f"{point.precision:.4f}", f"{point.recall:.4f}"])
    reserved = ", guarantees on its reserved pairs" if dev.reserved else ""
    return f""""Duplicate" from a similarity of {chosen.threshold:.6g} on: {detector.threshold_note()}.
The probability of a duplicate is sigmoid((logit(similarity) - offset) / temperature), with offset {chosen.offset:.6g} and
temperature {chosen.temperature:.6g}, fitted on dev. Others can be chosen without training again: `threshold=precision@0.95` on
the command line, `detector.at("precision@0.95", prior=0.01)` in Python. What they give on dev{reserved}:

{markdown([["threshold=", "similarity", "precision", "recall"], *rows])}"""
