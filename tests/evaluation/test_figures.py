"""Figures: each becomes a picture, whatever the labels."""

import io

import numpy as np
import pytest

from siamese.evaluation.calibration import Calibration
from siamese.evaluation.figures import learning_curves, level_areas, pair_figures

CALIBRATION = Calibration(threshold=0.6, temperature=1.0, offset=0.0)
ALWAYS = {"similarity_histogram", "confusion_matrix", "reliability"}
SIMILARITY = np.array([0.9, 0.8, 0.7, 0.4, 0.1, 0.1])


def png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ALWAYS | {"roc", "precision_recall"}))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_figure_renders(name, dtype):
    label = np.array([True, True, False, True, False, False])
    figures = pair_figures(label, SIMILARITY.astype(dtype), CALIBRATION, "dev, 6 pairs")
    assert set(figures) == ALWAYS | {"roc", "precision_recall"}
    assert png(figures[name]).startswith(b"\x89PNG")
    assert figures[name].get_suptitle() == "dev, 6 pairs"
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figures[name].axes)


@pytest.mark.slow
@pytest.mark.parametrize("label", [np.zeros(6, bool), np.ones(6, bool)], ids=["no duplicate", "duplicates alone"])
@pytest.mark.parametrize("threshold", [0.0, 2.0])
def test_one_class_has_no_curves_but_all_else(label, threshold):
    figures = pair_figures(label, SIMILARITY, Calibration(threshold, 1.0, 0.0), "all of one class")
    assert set(figures) == ALWAYS
    assert all(png(figure).startswith(b"\x89PNG") for figure in figures.values())


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.0, 2.0], ids=["all verdicts positive", "none"])
def test_one_sided_verdicts(threshold):
    label = np.array([True, False] * 3)
    for figure in pair_figures(label, SIMILARITY, Calibration(threshold, 1.0, 0.0), "").values():
        assert png(figure).startswith(b"\x89PNG")


def test_the_confusion_matrix_by_eye():
    """Threshold 0.6: of T T F T F F the first three are called duplicates: 2 right, 1 wrong; then 1 missed, 2 right."""
    label = np.array([True, True, False, True, False, False])
    axes = pair_figures(label, SIMILARITY, CALIBRATION, "")["confusion_matrix"].axes[0]
    found = {text.get_position(): text.get_text() for text in axes.texts}  # (verdict, label): count
    two, one = "2\n66.7% of the row", "1\n33.3% of the row"
    assert found == {(0, 0): two, (1, 0): one, (0, 1): one, (1, 1): two}
    assert axes.get_xlabel() == "verdict (accuracy 0.667)"


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("roc", ["ROC AUC 0.889", "chance, 0.5", "threshold 0.600: 33.3% false, 66.7% true"]),
        (
            "precision_recall",
            ["average precision 0.917", "share of duplicates, 0.500", "threshold 0.600: recall 66.7%, precision 66.7%"],
        ),
        ("reliability", ["perfect calibration", "expected calibration error 0.300", "area: pairs in the bin"]),
        (
            "similarity_histogram",
            ["threshold 0.600", "duplicate: 3 pairs, 66.7% above", "not duplicate: 3 pairs, 33.3% above"],
        ),
    ],
)
def test_the_numbers_in_a_figure_by_hand(name, numbers):
    """8 of 9 couples are in order; precision is 1, 1 and 3/4 at the three duplicates; gaps are 0.1, 0.2, 0.7, 0.6, 0.2 of 6."""
    label = np.array([True, True, False, True, False, False])
    axes = pair_figures(label, SIMILARITY, CALIBRATION, "")[name].axes[0]
    assert sorted(text.get_text() for text in axes.get_legend().get_texts()) == sorted(numbers)


def test_the_roc_marks_the_threshold():
    """2 of 3 duplicates and 1 of 3 others lie above it."""
    label = np.array([True, True, False, True, False, False])
    axes = pair_figures(label, SIMILARITY, CALIBRATION, "")["roc"].axes[0]
    [point] = [line for line in axes.lines if line.get_marker() == "o"]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == pytest.approx((1 / 3, 2 / 3))


def test_all_pairs_are_in_the_histogram():
    """0 and 1 too: no bar is cut off at the ends."""
    similarity = np.array([0.0, 1.0, 0.5, 1.0])
    axes = pair_figures(np.array([True, False, True, True]), similarity, CALIBRATION, "")["similarity_histogram"].axes[
        0
    ]
    assert sum(shape.get_data().values.sum() for shape in axes.patches) == 4


def test_integer_labels_are_a_yes_or_no():
    figures = pair_figures(np.array([1, 1, 0, 1, 0, 0]), SIMILARITY, CALIBRATION, "")
    assert set(figures) == ALWAYS | {"roc", "precision_recall"}


@pytest.mark.parametrize("epochs", [1, 3])
def test_learning_curves(epochs):
    """Whole epochs on the axes, and the values at the best one."""
    numbers = list(range(1, epochs + 1))
    figure = learning_curves(numbers, [0.7] * epochs, {"accuracy": [0.5] * epochs, "roc_auc": [0.6] * epochs}, best=1)
    assert png(figure).startswith(b"\x89PNG")
    legend = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert legend == ["accuracy, 0.500", "roc_auc, 0.600", "best epoch (1)"]
    for axes in figure.axes:
        assert all(tick == round(tick) for tick in axes.get_xticks())


def test_levels_have_names_values_and_intervals():
    [axes] = level_areas({"0_word_embedding": (0.85, 0.84, 0.86), "output": (0.86, 0.85, 0.88)}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0_word_embedding", "output"]
    assert texts(axes) == ["0.850", "0.860"]
    reaches = [bars.lines[2][0].get_segments()[0][:, 0].tolist() for bars in axes.containers]
    assert reaches == [pytest.approx([0.84, 0.86]), pytest.approx([0.85, 0.88])]
