"""The tokenizer of a new piece table: pieces learned from texts, those of MiniLM, or those of another table."""

import gzip
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from siamese.pretrained.piece_table import find
from siamese.text.vocabulary import bert_pieces, word_pieces

MINILM = Path(__file__).with_name("minilm") / "tokenizer.json.gz"


def tokenizer_of(pieces: str, texts: Sequence[str], size: int = 30_000) -> Tokenizer:
    """The tokenizer of a new table.

    Args:
        pieces: "learned" for word pieces learned from texts (Schuster and Nakajima 2012), "minilm" for those of that
            encoder, or a table, see `siamese.pretrained.piece_table.find`.
        texts: of the language.
        size: most pieces that are learned.

    Raises:
        ValueError: there is no such table, or the texts are in the language of no shipped table.
    """
    if pieces == "learned":
        return word_pieces(texts, size)
    if pieces == "minilm":
        return bert_pieces(Tokenizer.from_str(gzip.decompress(MINILM.read_bytes()).decode("utf-8")))
    found = find(pieces, texts)
    if found is None:
        raise ValueError("no shipped table reads the language of the questions; give pieces=learned and texts=FILE")
    return found.tokenizer
