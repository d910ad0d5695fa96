"""Labels: numbers and words → a grade that two questions ask the same thing."""

from typing import Any

DUPLICATE = (
    "true", "t", "yes", "y", "oui", "o", "vrai", "wahr", "ja", "verdadero", "si", "sí", "vero", "sì", "duplicate", "duplicates",
    "is duplicate", "dup", "same", "paraphrase", "equivalent", "match", "similar", "identical", "doublon", "doublons",
    "identique", "identiques", "même", "similaire",
)  # fmt: skip
DIFFERENT = (
    "false", "f", "no", "n", "non", "faux", "falsch", "nein", "falso", "not duplicate", "not a duplicate", "no duplicate",
    "non duplicate", "nonduplicate", "not dup", "different", "distinct", "unique", "not same", "not paraphrase",
    "not equivalent", "no match", "pas doublon", "non doublon", "différent",
    "différents", "différente", "différentes", "autre", "dissimilar", "mismatch", "non paraphrase", "non equivalent", "non match",
)  # fmt: skip
WORDS = dict.fromkeys(DUPLICATE, True) | dict.fromkeys(DIFFERENT, False)


def word(value: Any) -> str | None:
    """The word of `WORDS` that a label is; None for another value.

    >>> word(" Not_Duplicate "), word("1")
    ('not duplicate', None)
    """
    if not isinstance(value, str):
        return None
    found = " ".join(value.casefold().replace("_", " ").replace("-", " ").split())
    return found if found in WORDS else None


def number(value: Any) -> float:
    """The value as a number, nan if it is none; the decimal sign may be a comma.

    >>> number("0,5"), number(True), number("5 %"), number("0_1")
    (0.5, 1.0, nan, nan)
    """
    if isinstance(value, str) and "_" in value:  # which Python takes for a number
        return float("nan")
    try:
        return float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
