"""Markup: texts that hold HTML, as a browser shows them."""

import html
import re
from collections.abc import Iterable

INLINE = "a|abbr|b|code|em|font|i|mark|s|small|span|strike|strong|sub|sup|u"  # inside a word, too
BLOCKS = "blockquote|body|br|div|dd|dl|dt|h[1-6]|head|hr|html|img|li|ol|p|pre|table|tbody|td|tfoot|th|thead|tr|ul"
UNSHOWN = re.compile(r"<!--.*?-->|<(script|style|title)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
INLINE_TAG, BLOCK_TAG = (re.compile(rf"</?(?:{names})(?:\s[^<>]*)?/?>", re.IGNORECASE) for names in (INLINE, BLOCKS))
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
ENOUGH = 0.05  # of the texts of a column, with a tag or an entity: the column is HTML


def shown(text: str) -> str:
    """What a browser shows of HTML: no tag, entities as characters, white space as one space.

    >>> shown("<p>How do I re<b>set</b> my PIN &amp; card?<br/>Thanks&nbsp;!</p>"), shown("What does &lt;b&gt; do? 1 < 2")
    ('How do I reset my PIN & card? Thanks !', 'What does <b> do? 1 < 2')
    """
    plain = BLOCK_TAG.sub(" ", INLINE_TAG.sub("", UNSHOWN.sub(" ", text)))
    return " ".join(html.unescape(plain).split())


def is_html(values: Iterable[object]) -> bool:
    """Whether a share of ENOUGH of the texts among some values, and not one alone of many, holds a tag or an entity of HTML."""
    marked = [_has_markup(value) for value in values if isinstance(value, str)]
    return any(marked) and sum(marked) >= max(ENOUGH * len(marked), min(2, len(marked) / 2))


def _has_markup(text: str) -> bool:
    if "<" in text and (INLINE_TAG.search(text) or BLOCK_TAG.search(text)):
        return True
    return "&" in text and any(html.unescape(found) != found for found in ENTITY.findall(text))
