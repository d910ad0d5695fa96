"""Vectorizer: what a token is, which id it gets, and that JSON keeps all of it."""

import json
import random
import sys
import unicodedata
import zlib

import numpy as np
import pytest
from tokenizers import Tokenizer, models, trainers

from siamese.data.intent_files import read_intent_file
from siamese.data.sources import CORPORA
from siamese.pretrained.piece_table import pieces
from siamese.text.inputs import PADDING, UNKNOWN
from siamese.text.vectorizer import Vectorizer

KINDS = ("word", "unigram", "bpe")
TRAINING = [
    "How do I reset my password?",
    "Where can I change my password?",
    "What's the best way to cook rice?",
    "Qu'est-ce que l'été coûte à l'hôtel ?",
    "Où est l'eau aujourd'hui ?",
    "I don't know how to pay 1,000.50 euros 😀",
] * 3
STRANGE = ["", "   ", "!", "?!…", "漢字", "😀", "👨‍👩‍👧", "zyzzyva xylophone", "\u200b", "\x00", "a" * 500, "\ud7ff"]


def split(question: str, **options) -> list[str]:
    """How a question falls into words: a vectorizer fitted on it alone knows each of them."""
    return Vectorizer.fit([question], min_frequency=1, oov_buckets=0, **options).tokens(question)


@pytest.fixture(scope="module", params=KINDS)
def fitted(request) -> Vectorizer:
    return Vectorizer.fit(
        TRAINING, kind=request.param, vocabulary_size=120, min_frequency=1, oov_buckets=16, max_length=40
    )


@pytest.mark.parametrize(
    ("question", "tokens"),
    [
        ("How do I pay?", ["how", "do", "i", "pay", "?"]),
        ("I don't, I can’t", ["i", "don't", ",", "i", "can't"]),
        ("l'eau de L’Hôtel", ["l'", "eau", "de", "l'", "hôtel"]),
        ("Qu'est-ce que c'est ?", ["qu'", "est", "-", "ce", "que", "c'", "est", "?"]),
        ("aujourd'hui, presqu'île", ["aujourd'hui", ",", "presqu'île"]),
        ("jusqu'à ce qu’il d'abord s'en aille", ["jusqu'", "à", "ce", "qu'", "il", "d'", "abord", "s'", "en", "aille"]),
        ("John's and what’s", ["john", "'s", "and", "what", "'s"]),
        ("o'clock, rock 'n' roll", ["o'clock", ",", "rock", "'", "n", "'", "roll"]),
        ("1,000.50 € or 50%", ["1,000.50", "€", "or", "50", "%"]),
        ("12h30 in 2024.", ["12", "h", "30", "in", "2024", "."]),
        ("ok 😀😀 👍", ["ok", "😀", "😀", "👍"]),
        ("I ❤\ufe0f it", ["i", "❤", "it"]),
        ("wi-fi/e_mail", ["wi", "-", "fi", "/", "e", "_", "mail"]),
        ("日本 Москва", ["日", "本", "москва"]),
        ("我的PIN？", ["我", "的", "pin", "?"]),  # scripts without spaces: letter by letter
        ("カード, デ", ["カー", "ド", ",", "デ"]),  # a sign of length stays with its letter
        ("ลืมรหัส", ["ลื", "ม", "ร", "หั", "ส"]),
        ("한국어 단어", ["한국어", "단어"]),  # Korean has spaces
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ΟΔΟΣ οδος οδός", ["οδοσ", "οδοσ", "οδόσ"]),
    ],
)
def test_words(question, tokens):
    assert split(question) == tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9", "cafe\u0301"),  # é in one code point or in two
        ("ﬁn", "fin"),  # a ligature
        ("ＡＢＣ １２", "abc 12"),  # full width
        ("don’t", "don't"),
        ("donʼt", "don't"),
        ("don＇t", "don't"),
        ("what\u00a0now", "what now"),  # a no-break space
    ],
)
def test_forms_that_look_alike_are_the_same_words(one, other):
    assert split(one) == split(other)


@pytest.mark.parametrize(("one", "other"), [("ou", "où"), ("sale", "salé"), ("peche", "pêche")])
def test_accents_are_kept(one, other):
    vectorizer = Vectorizer.fit([one, other], min_frequency=1)
    assert vectorizer.tokens(one) != vectorizer.tokens(other)
    assert split(other) == [other]


def test_case_is_dropped_or_kept():
    assert split("École NASA") == ["école", "nasa"]
    assert split("École NASA", lowercase=False) == ["École", "NASA"]


@pytest.mark.parametrize(
    ("question", "tokens"), [("L'eau", ["L'", "eau"]), ("Qu'est", ["Qu'", "est"]), ("JOHN'S", ["JOHN", "'S"])]
)
def test_apostrophes_where_case_is_kept(question, tokens):
    """A capital at the start of a sentence must not glue an elision to its word."""
    assert split(question, lowercase=False) == tokens


def test_ids_padding_unknown_vocabulary_buckets():
    """3 words are in the vocabulary: ids 2 to 4; 4 buckets follow: 5 to 8; 9 ids in all."""
    vectorizer = Vectorizer.fit(["a b c", "a b", "a"], min_frequency=1, oov_buckets=4)
    assert (PADDING, UNKNOWN) == (0, 1)
    assert vectorizer.vocabulary == ["[PAD]", "[UNK]", "a", "b", "c"]
    assert vectorizer.size == 9
    known, strange = vectorizer.encode(["c b a", "x a y"]).padded(np.arange(2))
    assert known.tolist() == [4, 3, 2]
    assert strange[1] == 2
    assert {strange[0], strange[2]} <= {5, 6, 7, 8}


def test_rare_words_and_a_full_vocabulary_are_left_out():
    """a occurs 3 times, b twice, c once."""
    texts = ["a b c", "a b", "a"]
    assert Vectorizer.fit(texts, min_frequency=2).vocabulary[2:] == ["a", "b"]
    assert Vectorizer.fit(texts, min_frequency=1, vocabulary_size=3).vocabulary[2:] == ["a"]


def test_an_unknown_word_has_the_same_bucket_everywhere():
    """In other questions, in other cases, and in a vectorizer made of the JSON; 2,000 buckets rarely collide."""
    vectorizer = Vectorizer.fit(TRAINING)
    again = Vectorizer.from_json(vectorizer.to_json())
    first = vectorizer.encode(["zyzzyva"]).values[0]
    assert first >= len(vectorizer.vocabulary)
    assert vectorizer.encode(["my Zyzzyva"]).values[1] == first
    assert again.encode(["ZYZZYVA"]).values[0] == first
    assert vectorizer.encode(["xylophone"]).values[0] != first


def test_unknown_words_are_one_id_without_buckets():
    vectorizer = Vectorizer.fit(["a b"], min_frequency=1, oov_buckets=0)
    assert vectorizer.encode(["x a y"]).values.tolist() == [UNKNOWN, 2, UNKNOWN]


@pytest.mark.parametrize("kind", KINDS)
def test_fitted_on_the_given_questions_only(kind):
    """Nothing that was encoded later enters the vocabulary."""
    vectorizer = Vectorizer.fit(["red green"] * 3, kind=kind, min_frequency=1, vocabulary_size=30)
    before = vectorizer.to_json()
    assert not any("q" in token for token in vectorizer.vocabulary[2:])
    vectorizer.encode(["quite queer questions"] * 5)
    assert vectorizer.to_json() == before


@pytest.mark.parametrize("question", STRANGE, ids=ascii)
def test_every_text_has_tokens(fitted, question):
    """None is empty, none is padding, all ids exist, none is longer than 40."""
    ids = fitted.encode([question, "How do I pay?", question])
    assert ids.lengths.min() >= 1
    assert ids.lengths.max() <= 40
    assert ids.values.dtype == np.int32
    assert 0 < ids.values.min() <= ids.values.max() < fitted.size
    first, last = (ids.values[ids.offsets[i] : ids.offsets[i + 1]].tolist() for i in (0, 2))
    assert first == last


def test_no_questions_at_all(fitted):
    ids = fitted.encode([])
    assert (len(ids), ids.values.tolist(), ids.offsets.tolist()) == (0, [], [0])


def test_long_questions_keep_their_start(fitted):
    """Each of these words is one token at least, so that 60 of them are more than 40 tokens."""
    long = "password " * 60
    ids = fitted.encode([long, "password"])
    assert ids.lengths[0] == 40
    assert ids.values[: ids.lengths[1]].tolist() == ids.values[ids.offsets[1] :].tolist()
    assert len(fitted.tokens(long)) == 40


def test_invisible_characters_are_not_read(fitted):
    shown = "How do I reset my password?"
    hidden = ["\ufeff" + shown, "How do I re\u200bset my password?", "How do\u00ad I re\u00adset my password?\u200e"]
    ids = fitted.encode([shown, *hidden])
    assert ids.numbered().tolist() == [0, 0, 0, 0]
    spans, _ = fitted.words(hidden[1])
    assert "re\u200bset" in [hidden[1][start:end] for start, end in spans]  # as it was written
    learned = Vectorizer.fit([shown, *hidden], min_frequency=4, oov_buckets=0)
    assert learned.vocabulary[2:] == ["?", "do", "how", "i", "my", "password", "reset"]


def test_the_rule_on_invisible_characters_is_not_written(fitted):
    """A detector of an earlier version keeps its file, and follows the rule, too."""
    state = json.loads(fitted.to_json())
    assert "\u200b" not in json.dumps(state["tokenizer"]["normalizer"], ensure_ascii=False)
    again = Vectorizer.from_json(Vectorizer.from_json(fitted.to_json()).to_json())
    assert again.to_json() == fitted.to_json()
    assert again.encode(["pass\u200bword"]).values.tolist() == fitted.encode(["password"]).values.tolist()


def test_the_share_of_known_words():
    vectorizer = Vectorizer.fit(["how do i pay my bill ?"], min_frequency=1)
    shares = {
        "How do I pay?": 1,
        "How do I pay it?": 4 / 5,  # punctuation does not count
        "comment payer": 0,
        "pay 😀": 1,
        "?": 1,  # but where there is nothing else
        "😀": 0,
        "": 0,
    }
    ids, coverage = vectorizer.read(list(shares))
    assert coverage.known_words.tolist() == pytest.approx(list(shares.values()))
    assert coverage.unread.tolist() == [share < 0.5 for share in shares.values()]
    assert ids.values.tolist() == vectorizer.encode(list(shares)).values.tolist()
    assert vectorizer.read([])[1].known_words.shape == vectorizer.read([])[1].cut.shape == (0,)


def test_a_word_that_subwords_only_spell_is_not_known():
    """Each letter of it is a subword, and so are short words of any language."""
    text = ["reset the password", "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 4"] * 9
    vectorizer = Vectorizer.fit(text, kind="bpe", vocabulary_size=120, min_frequency=1)
    shares = {
        "reset password?": 1,
        "a kennwort": 0,
        "a kennwort password": 0.5,
        "the b": 1,
        "2024 12": 1,
        "reset 水": 1,
    }
    assert vectorizer.read(list(shares))[1].known_words.tolist() == list(shares.values())


def test_questions_in_another_language_are_hardly_read():
    """By the table of word pieces, which spells any word of its alphabet."""
    read = pieces(["how do i reset my password"]).read
    for question in ("How do I reset my password?", "I was charged twice, 12.50 euros"):
        assert read([question])[1].known_words > 0.8
    for question in (
        "Comment réinitialiser mon mot de passe ?",
        "Wo finde ich meine Rechnung?",
        "如何重置我的密码",
        "ฉันลืมรหัสผ่าน",
    ):
        assert read([question])[1].unread.all()


def test_a_table_of_pieces_folds_case():
    ids = pieces(["how do i reset my password"]).encode(["Straße", "STRASSE", "strasse"])
    assert ids.numbered().tolist() == [0, 0, 0]
    vectorizer = Vectorizer.fit(["Straße STRASSE"], min_frequency=1, lowercase=False)
    assert vectorizer.tokens("Straße STRASSE") == ["Straße", "STRASSE"]


def test_texts_that_are_cut_are_told_exactly(fitted):
    texts = ["password", " ".join(["password"] * 200)]
    assert fitted.read(texts)[1].cut.tolist() == [False, True]
    words = Vectorizer.fit(["a b c"], min_frequency=1, max_length=3)
    assert words.read(["a b c", "a b c d"])[1].cut.tolist() == [False, True]


def test_json_gives_the_same_ids(fitted):
    again = Vectorizer.from_json(fitted.to_json())
    for questions in (TRAINING, STRANGE, ["how do i cook my été ?"]):
        one, other = fitted.encode(questions), again.encode(questions)
        assert one.values.tolist() == other.values.tolist()
        assert one.offsets.tolist() == other.offsets.tolist()
    assert (again.size, again.max_length, again.oov_buckets) == (fitted.size, 40, fitted.oov_buckets)
    assert again.vocabulary == fitted.vocabulary


@pytest.mark.parametrize("kind", KINDS)
def test_fitting_twice_gives_the_same_json(kind, pairs):
    """The order of equally frequent tokens is no accident of a hash table."""
    texts = TRAINING + list(pairs.questions)
    fits = {Vectorizer.fit(texts, kind=kind, vocabulary_size=150, min_frequency=1).to_json() for _ in range(4)}
    assert len(fits) == 1


def test_words_are_known_by_their_own_name(fitted):
    """`tokens` shows what the model sees: pieces of the question, [UNK] for what is outside the vocabulary."""
    assert set(fitted.tokens("How do I reset my password?")) <= set(fitted.vocabulary)
    assert set(fitted.tokens("漢")) <= set(fitted.vocabulary)
    assert "[UNK]" in fitted.tokens("漢")


def test_subwords_spell_out_what_is_unknown():
    """No buckets: "reword" is made of pieces of the training words."""
    for kind in ("unigram", "bpe"):
        vectorizer = Vectorizer.fit(TRAINING, kind=kind, vocabulary_size=120, min_frequency=1, oov_buckets=16)
        assert vectorizer.oov_buckets == 0
        assert UNKNOWN not in vectorizer.encode(["reword"]).values


def test_a_newer_format_is_refused(fitted):
    state = json.loads(fitted.to_json()) | {"format_version": 2}
    with pytest.raises(ValueError, match="has format 2, this program reads up to 1; use a newer version"):
        Vectorizer.from_json(json.dumps(state))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "words"}, "text.kind must be one of word, unigram, bpe; got 'words'"),
        ({"vocabulary_size": 2}, "text.vocabulary_size must be at least 3, got 2"),
        ({"min_frequency": 0}, "text.min_frequency must be at least 1, got 0"),
        ({"oov_buckets": -1}, "text.oov_buckets must be at least 0, got -1"),
        ({"max_length": 0}, "text.max_length must be at least 1, got 0"),
    ],
    ids=str,
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        Vectorizer.fit(TRAINING, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_and_forgotten_chunks_change_nothing(monkeypatch, kind):
    """Blocks of 2 questions, and at most 3 chunks remembered: they bound memory, not the result."""
    options = {"kind": kind, "min_frequency": 1, "vocabulary_size": 120}
    whole = Vectorizer.fit(TRAINING, **options)
    expected = whole.encode(TRAINING + STRANGE)
    monkeypatch.setattr("siamese.text.chunks.BLOCK", 2)
    monkeypatch.setattr("siamese.text.chunks.CHUNKS_KEPT", 3)
    monkeypatch.setattr("siamese.text.chunks.AT_ONCE", 4)
    in_blocks = Vectorizer.fit(TRAINING, **options)
    assert in_blocks.to_json() == whole.to_json()
    found = in_blocks.encode(TRAINING + STRANGE)
    assert found.values.tolist() == expected.values.tolist()
    assert found.offsets.tolist() == expected.offsets.tolist()


def whole_texts(vectorizer: Vectorizer, questions: list[str]) -> list[list[int]]:
    """What `encode` gives if the tokeniser sees each question as a whole, one after another."""
    tokenizer, first = vectorizer._tokenizer, vectorizer.size - vectorizer.oov_buckets
    rows = []
    for question in questions:
        ids = tokenizer.encode(question).ids
        if vectorizer.oov_buckets:
            words = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(question))
            hashed = [first + zlib.crc32(w.encode()) % vectorizer.oov_buckets for w, _ in words]
            ids = [bucket if token == UNKNOWN else token for token, bucket in zip(ids, hashed, strict=True)]
        rows.append(ids[: vectorizer.max_length] or [UNKNOWN])
    return rows


def chunk_by_chunk(vectorizer: Vectorizer, questions: list[str]) -> list[list[int]]:
    ids = vectorizer.encode(questions)
    return [row.tolist() for row in np.split(ids.values, ids.offsets[1:-1])]


SPACES = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
NASTY = [
    "",
    " ",
    "   ",
    *SPACES,
    *(f" {space}a{space} {space}{space}b {space}" for space in SPACES),
    "L’eau  d'  l' eau, qu' il s' en aille",
    "John 's  ' s don 't 'n' rock '",
    "👨 \u200d👩 \u200d 👧 ❤ \ufe0f 👍🏽 🏽",
    "e \u0301e\u0301 \u0301 \u0327\u0301c \u0344",  # marks behind a space
    "\u1100 \u1161\u11a8 \u1161",  # the letters of a Korean syllable, apart and together
    "\u00a8 \u00b4a \u02d8 \u037a",  # NFKC makes a space of these, and a mark
    "ﬁ ﬂ ＦＵＬＬ　ｗｉｄｔｈ １ , ０００ ．５",
    "1, 000 .5 1 ,000 12h 30",
    "[PAD] [UNK] a[PAD]b [ PAD ] ▁ ▁a a▁ b",
    "İstanbul ΣΑΣ ΣΑΣ. ǅ ß ẞ",
    "日本 語です か\u3000東京 \u3099か \u3099",
    "a\nb\r\nc\td \x1c e\x1ff \x85 \x00 \u200b \ufeff \u2060",
    "word " * 3000,
    "a" * 3_000 + " " + "'" * 2000,
]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_chunks_have_the_tokens_of_the_whole_text(kind, lowercase):
    """Also in 3,000 random mixtures of the pieces of nasty texts, which rarely are what anyone thinks of."""
    draw = random.Random(0)
    pieces = [sign for text in NASTY[:-2] for sign in text] + ["qu'", "'s", "don't", "1.5", "été"] + [" "] * 200
    mixtures = ["".join(draw.choices(pieces, k=draw.randrange(25))) for _ in range(3000)]
    fitted = Vectorizer.fit(
        TRAINING + mixtures[::2], kind=kind, vocabulary_size=400, min_frequency=1, oov_buckets=50, lowercase=lowercase
    )
    for questions in (NASTY, mixtures):
        assert chunk_by_chunk(fitted, questions) == whole_texts(fitted, questions)


def test_no_character_meets_a_space():
    """Each that composes, decomposes to a space, is white or invisible: before, behind and between spaces."""
    signs = [
        sign
        for sign in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(sign) in ("Mn", "Mc", "Me", "Zs", "Zl", "Zp", "Cc", "Cf")
        or " " in unicodedata.normalize("NFKC", sign)
        or unicodedata.combining(sign)
    ]
    assert len(signs) > 2000
    questions = [f"a{sign} {sign}e {sign} '{sign}s 1{sign} 2" for sign in signs]
    fitted = Vectorizer.fit(questions[::7], min_frequency=1, oov_buckets=50)
    assert chunk_by_chunk(fitted, questions) == whole_texts(fitted, questions)


@pytest.fixture(scope="module", params=["en", "fr"])
def shipped(request) -> list[str]:
    return read_intent_file(CORPORA / f"{request.param}.tsv", "question", "intent", "topic", "error")[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_corpora_have_the_tokens_of_whole_texts(kind, shipped):
    """Fitted on every second question, so that words are outside the vocabulary."""
    fitted = Vectorizer.fit(shipped[::2], kind=kind, vocabulary_size=1000, oov_buckets=50)
    assert chunk_by_chunk(fitted, shipped) == whole_texts(fitted, shipped)


@pytest.mark.parametrize("min_frequency", [1, 3])
def test_the_vocabulary_is_that_of_the_trainer_of_words(shipped, min_frequency):
    """The library counts words of whole texts; most frequent first, then by the alphabet, as here."""
    fitted = Vectorizer.fit(shipped + NASTY, min_frequency=min_frequency, vocabulary_size=700)
    reference = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    reference.normalizer = fitted._tokenizer.normalizer
    reference.pre_tokenizer = fitted._tokenizer.pre_tokenizer
    reference.train_from_iterator(
        shipped + NASTY,
        trainers.WordLevelTrainer(
            vocab_size=700, min_frequency=min_frequency, special_tokens=["[PAD]", "[UNK]"], show_progress=False
        ),
    )
    assert dict(enumerate(fitted.vocabulary)) == {i: word for word, i in reference.get_vocab().items()}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_saved_vectorizer_keeps_its_sensitivity_to_spacing(kind):
    """The first versions made tokens of spaces: of "a  b " those before b and at the end."""
    state = json.loads(Vectorizer.fit(TRAINING, kind=kind, vocabulary_size=120, min_frequency=1).to_json())
    cutting, state["tokenizer"]["pre_tokenizer"] = state["tokenizer"]["pre_tokenizer"]["pretokenizers"]
    assert cutting["type"] == "WhitespaceSplit"
    saved = Vectorizer.from_json(json.dumps(state))
    questions = TRAINING + NASTY + ["How  do I pay? ", "How do I pay?"]
    assert chunk_by_chunk(saved, questions) == whole_texts(saved, questions)
    assert saved.encode(questions[-2:]).lengths.tolist()[0] == saved.encode(questions[-1:]).lengths[0] + 2


@pytest.mark.parametrize("kind", KINDS)
def test_spacing_is_no_token(kind):
    fitted = Vectorizer.fit(TRAINING, kind=kind, vocabulary_size=120, min_frequency=1)
    one, other = fitted.encode(["How do I pay?", "  How\u00a0 do\tI \n\u3000 pay?  "]).padded(np.arange(2))
    assert one.tolist() == other.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_of_a_special_token_is_a_text_like_others(kind):
    """Else a question could contain padding, which the towers mask. That is so in old files of words, too."""
    fitted = Vectorizer.fit(TRAINING, kind=kind, vocabulary_size=120, min_frequency=1)
    state = json.loads(fitted.to_json())
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    state["tokenizer"]["added_tokens"] = [
        {"id": 0, "content": "[PAD]"} | special,
        {"id": 1, "content": "[UNK]"} | special,
    ]
    for vectorizer in (fitted, Vectorizer.from_json(json.dumps(state))):
        ids = vectorizer.encode(["the [PAD] is [UNK]", "the [pad] is [unk]"]).padded(np.arange(2))
        assert ids[0].tolist() == ids[1].tolist()
        assert "[PAD]" not in vectorizer.tokens("the [PAD] is")
