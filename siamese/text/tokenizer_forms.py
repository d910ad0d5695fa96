"""Tokenizer forms: the tokenizers that the project writes, and those that it has written; no other one is read back.

A tokenizer is a program of its own: a chain of replacements can grow each letter a billion times, a pattern can search for
ever. So its steps must be those of `siamese.text.vocabulary`, in their order, and the vocabulary must number its tokens.
"""

import math
from collections.abc import Sequence
from itertools import islice
from json import dumps
from typing import Any

from tokenizers import Tokenizer, models

from siamese.data.questions import INVISIBLE
from siamese.text.vocabulary import FOLDED, MOST_LETTERS, QUOTES, SPECIAL, WORD, WORD_BEFORE_SCRIPTS


def _replace(kind: str, pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def _words(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True}


NORMALIZERS: tuple[dict[str, Any], ...] = (  # each at most once, in this order
    _replace("Regex", INVISIBLE, ""),
    {"type": "NFKC"},
    _replace("Regex", QUOTES, "'"),
    {"type": "Lowercase"},
    {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    *(_replace("String", letter, folded) for letter, folded in FOLDED.items()),
)
METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
PRE_TOKENIZERS: tuple[dict[str, Any], ...] = (
    _words(WORD),
    _words(WORD_BEFORE_SCRIPTS),
    {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]},
    METASPACE,
    {"type": "BertPreTokenizer"},
)
FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
ADDED = [{"id": number, "content": token, **FLAGS} for number, token in enumerate(SPECIAL)]
UNKNOWN_TOKEN = {"unk_token": SPECIAL[1]}
PAIRS: dict[str, Any] = {"dropout": None, "continuing_subword_prefix": None, "end_of_word_suffix": None}
PAIRS |= {"fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
MODELS: dict[str, dict[str, Any]] = {  # settings beside the vocabulary
    "WordLevel": UNKNOWN_TOKEN,
    "WordPiece": UNKNOWN_TOKEN | {"continuing_subword_prefix": "##", "max_input_chars_per_word": MOST_LETTERS},
    "BPE": UNKNOWN_TOKEN | PAIRS,
    "Unigram": {"unk_id": 1, "byte_fallback": False},
}
FORMS: dict[str, Sequence[Any]] = {  # of all but normalizer and model
    "version": ("1.0",),
    "truncation": (None,),
    "padding": (None,),
    "added_tokens": ([], ADDED),
    "pre_tokenizer": PRE_TOKENIZERS,
    "post_processor": (None,),
    "decoder": (None, METASPACE),
}
EMPTY = {"type": "WordLevel", "vocab": {}, "unk_token": SPECIAL[1]}


def tokenizer_from(state: object) -> Tokenizer:
    """The tokenizer of the JSON that `Tokenizer.to_str` gave, parsed.

    Raises:
        ValueError: it is of a form that the project never wrote.
    """
    if not isinstance(state, dict):
        raise ValueError(f"a tokenizer is an object, got {type(state).__name__}")
    wrong = [name for name, forms in FORMS.items() if name not in state or state[name] not in forms]
    wrong += map(ascii, sorted(set(state) - {*FORMS, "normalizer", "model"}))  # whatever else it holds, in one line
    if wrong:
        raise ValueError(f"the tokenizer's {', '.join(wrong)} is none that the project writes")
    # All but the vocabulary is made of the forms, not of what came, and the vocabulary is not parsed a second time.
    form = {name: forms[forms.index(state[name])] for name, forms in FORMS.items()}
    form |= {"normalizer": {"type": "Sequence", "normalizers": _steps(state.get("normalizer"))}, "model": EMPTY}
    tokenizer = Tokenizer.from_str(dumps(form | {"added_tokens": []}))
    tokenizer.model = _model(state.get("model"))
    if state["added_tokens"]:
        tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _steps(state: object) -> list[dict[str, Any]]:
    """The steps of a normalizer, which follow NORMALIZERS."""
    steps = state.get("normalizers") if isinstance(state, dict) and state.get("type") == "Sequence" else None
    if not isinstance(steps, list) or any(step not in NORMALIZERS for step in steps):
        raise ValueError("the tokenizer's normalizer is none that the project writes")
    places = [NORMALIZERS.index(step) for step in steps]
    if places != sorted(set(places)):
        raise ValueError("the tokenizer's normalizer has its steps in another order, or one of them twice")
    return [NORMALIZERS[place] for place in places]


def _model(state: object) -> models.Model:
    kind = state.get("type") if isinstance(state, dict) else None
    if not isinstance(state, dict) or not isinstance(kind, str) or kind not in MODELS:
        raise ValueError(f"the tokenizer's model must be one of {', '.join(MODELS)}")
    settings, tables = MODELS[kind], {"type": kind, "vocab": state.get("vocab", [])}
    merges = {"merges": state.get("merges", [])} if kind == "BPE" else {}
    if state != settings | tables | merges:
        raise ValueError(f"the tokenizer's {kind} has other settings than the project writes: {settings}")
    try:
        if kind == "Unigram":
            return models.Unigram(_scored(tables["vocab"]), unk_id=1, byte_fallback=False)
        vocabulary = tables["vocab"]
        if list(vocabulary.values()) != list(range(len(vocabulary))):
            raise ValueError("the tokens are not numbered 0, 1, 2, …")
        _check_tokens(vocabulary)
        if kind == "BPE":
            return models.BPE(vocabulary, [(left, right) for left, right in merges["merges"]], unk_token=SPECIAL[1])
        if kind == "WordPiece":
            return models.WordPiece(vocabulary, unk_token=SPECIAL[1], max_input_chars_per_word=MOST_LETTERS)
        return models.WordLevel(vocabulary, unk_token=SPECIAL[1])
    except Exception as problem:  # the tokenizer's errors have no common type
        raise ValueError(f"the tokenizer's vocabulary cannot be read: {' '.join(str(problem).split())}") from None


def _scored(vocabulary: Sequence[Sequence[Any]]) -> list[tuple[str, float]]:
    """The tokens of a unigram model with their scores."""
    pairs = [(token, float(score)) for token, score in vocabulary]
    _check_tokens(dict(pairs))
    if len(dict(pairs)) != len(pairs) or not all(math.isfinite(score) for _, score in pairs):
        raise ValueError("a token occurs twice, or a score is not finite")
    return pairs


def _check_tokens(vocabulary: dict[str, Any]) -> None:
    if tuple(islice(vocabulary, len(SPECIAL))) != SPECIAL or "" in vocabulary:
        raise ValueError(f"it must begin with {', '.join(SPECIAL)}, and no token may be empty")
