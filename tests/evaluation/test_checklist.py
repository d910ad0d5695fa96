"""CheckList: the suites that ship are well-formed, and failures are counted as by hand."""

import re
import tomllib
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from siamese.evaluation.checklist import (
    LANGUAGES,
    SUITES,
    answered,
    expanded,
    failure_rates,
    languages_of,
    suite,
    with_typo,
)

CAPABILITIES = [
    "vocabulary",
    "negation",
    "roles",
    "numbers",
    "entities",
    "order",
    "typos",
    "coreference",
    "temporal",
]
VOWEL = "aeiouyàâéèêëîïôùûœ"
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def bag(question: str) -> Counter:
    """Its words without their order, as a tower that averages reads them."""
    return Counter(re.findall(r"\w+", question.casefold()))


def rates_of(language: str, score) -> pd.DataFrame:
    """Failure rates of a model: two questions and the label -> similarity; duplicates from 0.5 on."""
    cases = suite(language)
    columns = (cases[name] for name in ("question1", "question2", "duplicate"))
    similarity = np.array([score(*row) for row in zip(*columns, strict=True)], float)
    return failure_rates(answered(cases, similarity, similarity >= 0.5))


@both_languages
def test_every_suite_has_a_few_hundred_pairs_of_every_capability_balanced(language):
    cases = suite(language)
    assert 300 <= len(cases) <= 600
    by_capability = cases.groupby("capability", sort=False)["duplicate"]
    assert list(cases["capability"].unique()) == CAPABILITIES
    assert by_capability.size().min() >= 30
    assert by_capability.mean().between(0.45, 0.55).all()
    assert cases.groupby("template")["duplicate"].nunique().eq(2).all(), "each template has both labels"
    assert cases.groupby("capability")["template"].nunique().ge(2).all()


@both_languages
def test_every_pair_is_two_different_well_formed_questions_once(language):
    cases = suite(language)
    for question in {*cases["question1"], *cases["question2"]}:
        assert not re.search(r"[{}]|  |namespace", question), question
        assert question[0].isupper(), question
        assert question.endswith("?"), question
        assert question.count("?") == 1, question
    pairs = [tuple(sorted(pair)) for pair in zip(cases["question1"], cases["question2"], strict=True)]
    assert len(set(pairs)) == len(pairs)
    assert all(left != right for left, right in pairs)


def test_all_fillers_are_used():
    """A list that no template names would be a misspelt slot."""
    for language in LANGUAGES:
        content = tomllib.loads((SUITES / f"{language}.toml").read_text(encoding="utf-8"))
        used = {
            slot.rstrip("123")
            for template in content["template"]
            for text in [template["question"], *template["same"], *template["other"]]
            for slot in re.findall(r"\{(\w+)", text)
        }
        assert used == set(content["fillers"])


def test_french_is_written_as_french():
    """A space before the question mark; "de", "que", "si" and the like are elided before a vowel; no English is left."""
    cases = suite("fr")
    texts = {*cases["question1"], *(row.question2 for row in cases.itertuples() if row.capability != "typos")}
    for text in texts:
        assert re.search(r"[^ ] \?$", text), text
        assert not re.search(rf"(?<![-\w])(de|que|le|la|me|se|ne|je|ce) [{VOWEL}]\w", text, re.I), text
        assert not re.search(r"\bsi ils?\b|\bà le\b|\bde les?\b|’", text, re.I), text
        assert not re.search(r"\b(the|is|of|and|what|how)\b", text, re.I), text
    women = "Julie|Sophie|Claire|Laura|Marie|Léa|Sarah|Nadia"
    for text in texts:
        assert not re.search(rf"^({women}) \w+(-t)?-il\b", text), text
        assert not re.search(rf"\b({women}) est-elle (marié|fiancé|divorcé|ami|le)\b", text), text


def test_a_typo_swaps_two_inner_letters_of_the_longest_word():
    assert with_typo("Où puis-je acheter un vélo ?") == "Où puis-je acehter un vélo ?"
    for language in LANGUAGES:
        cases = suite(language)[lambda rows: rows["capability"] == "typos"]
        same = cases[cases["wording"] == cases["template"]]  # the question itself, with a typo
        assert len(same) >= 16
        for row in same.itertuples():
            assert sorted(row.question1) == sorted(row.question2)
            assert sum(one != other for one, other in zip(row.question1, row.question2, strict=True)) == 2


def test_slots_of_one_name_are_filled_by_different_rows_and_parts_belong_together():
    template = {
        "capability": "roles",
        "question": "Did {name1} {verb.base} {name2}?",
        "same": ["Was {name2} {verb.past} by {name1}?"],
        "other": ["Was {name3} {verb.past}?"],
    }
    fillers = {
        "name": ["Ann", "Bo", "Cy"],
        "verb": [{"base": "help", "past": "helped"}, {"base": "see", "past": "seen"}],
    }
    rows = list(expanded(template, fillers))
    assert [row[4:] for row in rows[:4]] == [
        ("Did Ann help Bo?", "Was Bo helped by Ann?", True),
        ("Did Ann help Bo?", "Was Cy helped?", False),
        ("Did Bo see Cy?", "Was Cy seen by Bo?", True),
        ("Did Bo see Cy?", "Was Ann seen?", False),
    ]
    assert len(rows) == 6
    assert [row[2] for row in rows] == [0, 0, 1, 1, 2, 2]
    with pytest.raises(KeyError, match="nmae"):
        list(expanded(template | {"question": "Who is {nmae}?"}, fillers))


@both_languages
def test_a_perfect_model_never_fails(language):
    rates = rates_of(language, lambda one, other, label: float(label))
    assert rates.loc[:, "failures":].to_numpy().max() == 0
    assert rates["pairs"].sum() == len(suite(language))


@both_languages
@pytest.mark.parametrize("answer", [1.0, 0.0])
def test_a_model_that_says_the_same_of_all_pairs_fails_one_side_of_every_capability(language, answer):
    rates = rates_of(language, lambda one, other, label: answer)
    failed, right = ("others", "duplicates") if answer else ("duplicates", "others")
    assert rates[f"failures_{failed}"].eq(1).all()
    assert rates[f"failures_{right}"].eq(0).all()
    assert rates["failures"].between(0.45, 0.55).all()
    assert rates["misordered"].eq(1).all(), "equal scores tell nothing"
    assert rates["unstable"].eq(0).all()


@both_languages
def test_a_bag_of_words_fails_where_only_the_order_differs(language):
    """Duplicate means the same words: a reversed role or clause has them, and a synonym has not."""
    rates = rates_of(language, lambda one, other, label: float(bag(one) == bag(other)))
    assert rates.loc["order", "failures_others"] == 9 / 17, "9 pairs of clauses; in 8 pairs a word is another"
    assert rates.loc["order", "failures_duplicates"] == 0
    assert rates.loc["roles", "failures_others"] > 0.5
    assert rates.loc["vocabulary", "failures_duplicates"] == 1
    assert rates.loc["entities", "failures_others"] == 0


def test_rates_are_those_of_a_count_by_hand():
    """Two fillings of a template with one wording of each kind: of four verdicts one is wrong, and it is not the usual one."""
    cases = pd.DataFrame(
        {
            "language": "en",
            "capability": "roles",
            "template": "t",
            "filling": [0, 0, 1, 1, 2, 2],
            "wording": ["same", "other"] * 3,
            "question1": "a?",
            "question2": "b?",
            "duplicate": [True, False] * 3,
        }
    )
    similarity = np.array([0.9, 0.2, 0.8, 0.8 - 1e-8, 0.7, 0.1])
    row = failure_rates(answered(cases, similarity, similarity >= 0.5)).loc["roles"]
    assert row["pairs"] == 6
    assert row["failures"] == pytest.approx(1 / 6)
    assert (row["failures_duplicates"], row["failures_others"]) == pytest.approx((0, 1 / 3))
    assert row["misordered"] == pytest.approx(1 / 3), "a difference by rounding is none"
    assert row["unstable"] == pytest.approx(1 / 6)


def test_languages_are_those_of_the_questions():
    english = ["How do I get a refund?", "Where is my parcel?", "my card is lost"]
    french = ["Comment puis-je payer ?", "Où est mon colis ?", "j'ai perdu ma carte"]
    assert languages_of(english) == ["en"]
    assert languages_of(french) == ["fr"]
    assert languages_of([*english, *french]) == ["en", "fr"]
    assert languages_of([*english * 20, french[0]]) == ["en"]
    assert languages_of(["Wo ist mein Paket?"]) == languages_of([]) == ["en"]
