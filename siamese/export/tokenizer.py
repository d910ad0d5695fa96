"""Tokenizer file: text to ids for other languages, with a rule for words outside the vocabulary.

Every binding of Hugging Face's `tokenizers` reads `tokenizer.json`. The rule assigns unknown words to buckets.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from siamese.text.inputs import PADDING, UNKNOWN
from siamese.text.vectorizer import Vectorizer

FILE = "tokenizer.json"


def write_tokenizer(vectorizer: Vectorizer, folder: Path) -> dict[str, Any]:
    """Write `tokenizer.json`, with truncation and padding set, and return the rule.

    The rule: a question's ids are those of its tokens; a word outside the vocabulary has the id `first_bucket`
    + CRC-32 of its UTF-8 bytes modulo `oov_buckets`, or `unknown` if there are no buckets. The first
    `max_length` ids count. A question without any token becomes `unknown`; `padding` follows the last token.
    """
    state = json.loads(vectorizer.tokenizer.to_str())
    state["added_tokens"] = []  # "[PAD]" in a question is ordinary text
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.enable_truncation(vectorizer.max_length)
    tokenizer.enable_padding(pad_id=PADDING, pad_token=vectorizer.vocabulary[PADDING])
    tokenizer.save(str(folder / FILE))
    ids = {"max_length": vectorizer.max_length, "padding": PADDING, "unknown": UNKNOWN}
    buckets = {"oov_buckets": vectorizer.oov_buckets, "first_bucket": vectorizer.size - vectorizer.oov_buckets}
    return {"tokenizer": FILE, **ids, **buckets}
