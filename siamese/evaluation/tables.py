"""Tables in Markdown or to print, and the numbers in their cells."""

import math
from collections.abc import Sequence


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length, the first one the head, with columns lined up.

    >>> print(markdown([["", "AUC"], ["dense", "0.8"]]))
    |       | AUC |
    | ----- | --- |
    | dense | 0.8 |
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length with columns lined up, to print.

    >>> print(aligned([["", "AUC"], ["dense", "0.8"]]))
           AUC
    dense  0.8
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def number(value: float) -> str:
    """Three digits, or all before the point; nothing for NaN.

    >>> [number(value) for value in (1234567.8, 45.67, 4.567, 0.04567, 0.0, float("nan"))]
    ['1,234,568', '45.7', '4.57', '0.0457', '0', '']
    """
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
