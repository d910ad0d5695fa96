"""Heat map: an explanation as HTML or as a figure.

Blue words speak for "the same", orange ones against it (color-blind safe). The darkest color is the largest effect.
"""

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from siamese.explanation.word_effects import Explanation, WordEffects

if TYPE_CHECKING:  # HTML needs no matplotlib, which takes a second to start
    from matplotlib.figure import Figure

SAME, DIFFERENT = (33, 113, 181), (217, 95, 14)  # red, green, blue
DEEPEST = 0.75  # opacity behind the strongest word, so that its letters stay readable
GRAY, UNREAD = "gray", "not in the vocabulary"  # of words that the model does not know
STRONGEST = 10  # pairs of words in a table
CELL = 0.62  # inches of a figure for each word


def html(explanation: Explanation) -> str:
    """A fragment of HTML: both questions with colored words and, if there are any, the strongest contributions.

    Texts are escaped. Colors are inline styles under the text color of the page, so they suit light and dark pages.
    There is no script.
    """
    largest = max(np.abs([*explanation.left.effect, *explanation.right.effect]), default=0.0)
    sides = "\n".join(_question(side, largest) for side in (explanation.left, explanation.right))
    caption = (
        "Blue words speak for the same question, orange ones against it: how far the similarity falls without them."
        + (f" Gray words are {UNREAD}." if explanation.left.unread.any() or explanation.right.unread.any() else "")
    )
    return (
        f'<figure class="why" role="group" aria-label="{escape(explanation.verdict)}">\n'
        f"{sides}\n{_table(explanation)}<figcaption>{caption}</figcaption>\n</figure>"
    )


def page(explanation: Explanation) -> str:
    """A whole page around `html`."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Why</title>\n'
        "<style>:root { color-scheme: light dark } body { font: 1rem/1.6 system-ui, sans-serif; margin: 2rem }\n"
        "table { border-spacing: 2px } td, th { padding: 0.2em 0.6em; font-weight: normal; text-align: right }\n"
        ".why p { font-size: 1.3rem } figure { margin: 0 }</style>\n"
        f"<h1>{escape(explanation.verdict)}</h1>\n{html(explanation)}\n</html>\n"
    )


def figure(explanation: Explanation) -> "Figure":
    """Bars of the word effects of both questions, beside the matrix of contributions if there is one."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    left, right, parts = explanation.left, explanation.right, explanation.contributions
    most = max(len(left.words), len(right.words), 1)
    drawing = Figure(figsize=(4.5 if parts is None else 5.5 + CELL * len(right.words), max(3.0, 1.5 + CELL * most)))
    drawing.suptitle(explanation.verdict)
    if parts is None:
        upper, lower = drawing.subplots(2, 1, sharex=True)
    else:
        grid = drawing.add_gridspec(2, 2, width_ratios=[3, 1 + CELL * len(right.words)])
        upper = drawing.add_subplot(grid[0, 0])
        lower = drawing.add_subplot(grid[1, 0], sharex=upper)
        matrix = drawing.add_subplot(grid[:, 1])
        bound = max(float(np.abs(parts).max()), 1e-9) / DEEPEST
        colours = LinearSegmentedColormap.from_list("effect", np.array([DIFFERENT, (255, 255, 255), SAME]) / 255)
        matrix.imshow(parts, cmap=colours, vmin=-bound, vmax=bound, aspect="auto")
        matrix.set_xticks(range(len(right.words)), right.words, rotation=45, ha="right")
        matrix.set_yticks(range(len(left.words)), left.words)
        for (row, column), value in np.ndenumerate(parts):
            matrix.text(column, row, _two_digits(value), ha="center", va="center", fontsize=8)
        matrix.set_title(f"parts of the cosine, {explanation.cosine:.3f}", fontsize=10)
    for axes, side in ((upper, left), (lower, right)):
        shade = [np.array(SAME if effect > 0 else DIFFERENT) / 255 for effect in side.effect]
        axes.barh(range(len(side.words)), side.effect, color=shade)
        axes.set_yticks(range(len(side.words)), side.words)
        for label, unread in zip(axes.get_yticklabels(), side.unread, strict=True):
            label.set_color(GRAY if unread else "black")
        axes.invert_yaxis()
        axes.axvline(0, color="gray", linewidth=0.8)
    lower.set_xlabel("similarity lost without the word")
    drawing.set_layout_engine("constrained")
    return drawing


def _question(side: WordEffects, largest: float) -> str:
    """The question with each word marked by its effect."""
    marked, end = [], 0
    for (start, stop), effect, unread in zip(side.spans.tolist(), side.effect, side.unread, strict=True):
        word = escape(side.question[start:stop])
        color, note = (GRAY, f"; {UNREAD}") if unread else ("inherit", "")
        marked.append(
            f'{escape(side.question[end:start])}<mark style="{_colour(effect, largest)}; color: {color}" '
            f'title="{effect:+.4f}{note}">{word}</mark>'
        )
        end = stop
    return f"<p>{''.join(marked)}{escape(side.question[end:])}</p>"


def _table(explanation: Explanation) -> str:
    """A table of the pairs of words that contribute most to the cosine, the strongest first."""
    parts = explanation.contributions
    if parts is None:
        return ""
    largest = float(np.abs(parts).max())
    strongest = np.argsort(-np.abs(parts), axis=None, kind="stable")[:STRONGEST]
    rows = "\n".join(
        f'<tr><th scope="row">{escape(explanation.left.words[left])}</th><td>{escape(explanation.right.words[right])}</td>'
        f'<td style="{_colour(parts[left, right], largest)}">{_two_digits(parts[left, right])}</td></tr>'
        for left, right in zip(*np.unravel_index(strongest, parts.shape), strict=True)
    )
    title = f"The pairs of words that weigh most in the cosine of {explanation.cosine:.3f}"
    return f"<table>\n<caption>{title}</caption>\n{rows}\n</table>\n"


def _two_digits(value: float) -> str:
    """Two digits; what rounds to 0 has no sign."""
    return f"{round(value, 2) + 0.0:.2f}"


def _colour(value: float, largest: float) -> str:
    red, green, blue = SAME if value > 0 else DIFFERENT
    strength = 0.0 if largest == 0 else DEEPEST * abs(value) / largest
    return f"background: rgba({red}, {green}, {blue}, {strength:.2f})"
