"""Words of a command line → overrides for Hydra.

A word key=value is read as in programs without Hydra: the value arrives unchanged, also with spaces, accents,
parentheses, =, commas, quotes or ~. If Hydra's grammar would fail or read another text, the value is passed on in quotes.
What the grammar reads as something other than a text stays an expression of Hydra:

    null, or nothing after the =            no value
    12, 1e-3, true, [a,b], {a: 1}           a number, a truth value, a list, a dict; in names and tracking.* a text
    ${key}                                  an interpolation, anywhere in a value
    a,b  choice(a,b)  range(1,4)            several values, with --multirun and in a study. Elsewhere a text, if the
                                            default of the key is a text (not auto) or null; otherwise an error
    +key=value  ++key=value  ~key           keys that are added or removed

Choices of a group (tower=dense) are read like values. A file whose name is such an expression needs its folder: ./null.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.config_tree import ConfigTree
from siamese.commands.arguments import nearest
from siamese.training.auto import AUTO

if TYPE_CHECKING:  # Hydra takes half a second to import, and help does not need it
    from hydra.core.override_parser.overrides_parser import OverridesParser

TEXTS = r"tracking\.\w+|([\w.]+\.)?name"  # settings that are texts also where they look like numbers
USER = "command-line"  # what Hydra calls the user's own config folder


def as_overrides(words: Sequence[str], tree: ConfigTree, several: bool) -> list[str]:
    """Words of a command line as Hydra's grammar reads them; `several` allows a word several values.

    Raises:
        ValueError: a word is no setting, or has several values where it must not.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    return [_as_override(word, parser, tree, several) for word in words]


def _as_override(word: str, parser: "OverridesParser", tree: ConfigTree, several: bool) -> str:
    from hydra.errors import HydraException

    match = re.fullmatch(r"(\+{0,2}([^=~+\s]+))=(.*)", word, re.DOTALL)
    if not match:
        if word.startswith("~"):
            return word
        near = nearest(word.partition("=")[0], tree.names())
        raise ValueError(f"give settings as key=value; got {word!r}" + (f"; did you mean {near}=…?" if near else ""))
    head, key, text = match.groups()
    if text == "":
        return f"{head}=null"
    try:
        override = parser.parse_override(f"{key}={text}")
    except HydraException:
        return f"{head}={_quoted(text)}"
    if override.is_sweep_override():
        if several:
            return word
        known = tree.settings.get(key)
        if key in tree.choices or (known and (known.default == AUTO or not isinstance(known.default, str | None))):
            raise ValueError(f"{word} has several values; with --multirun the program runs once for each")
        return f"{head}={_quoted(text)}"
    value: Any = override.value()
    if re.fullmatch(TEXTS, key) and isinstance(value, int | float):
        return f"{head}={_quoted(text)}"
    if key in tree.choices and not isinstance(value, str | int | None):
        raise ValueError(f"{key} takes one of its options, {', '.join(tree.options(key))}; got {text!r}")
    is_text = isinstance(value, str) and "${" not in text
    return f"{head}={_quoted(text)}" if is_text and text != value else word


def _quoted(text: str) -> str:
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.double).with_quotes()


def as_words(overrides: Sequence[str]) -> list[str]:
    """The words of a command line for these overrides: the inverse of `as_overrides`.

    The user's own config folder comes first.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words, parser = [], OverridesParser.create()
    if HydraConfig.initialized():
        sources = HydraConfig.get().runtime.config_sources
        words = [f"--config-dir={each.path}" for each in sources if each.provider == USER]
    for each in overrides:
        head, _, value = each.partition("=")
        words.append(f"{head}={parser.parse_override(each).value()}" if value[:1] in ('"', "'") else each)
    return words
