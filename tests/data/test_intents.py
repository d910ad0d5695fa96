"""Intents -> pairs: the draw keeps its shares and its promises, whatever the corpus."""

from collections import Counter

import numpy as np
import pytest

from siamese.data.intent_pairs import pairs_from_intents
from siamese.data.intent_splits import draw_few, split_intents
from siamese.data.intents import IntentQuestions


def corpus(topics: int = 6, intents: int = 6, questions: int = 10) -> IntentQuestions:
    """Question "t2 i1 q7" is the 7th of intent "i1" of topic "t2"; intents of two topics share their names."""
    names = [(t, i, q) for t in range(topics) for i in range(intents) for q in range(questions)]
    return IntentQuestions.from_columns(
        [f"t{t} i{i} q{q}" for t, i, q in names], [f"i{i}" for _, i, _ in names], [f"t{t}" for t, _, _ in names]
    )


def draw(own: IntentQuestions, per_question=2.5, share=0.37, confusable=0.5, seed=0):
    return pairs_from_intents(own, per_question, share, confusable, seed)


def topic_and_intent(question: str) -> list[str]:
    return question.split()[:2]


def test_columns_become_numbers():
    """Both "i0" are intents of their own, for their topics differ; the repeated question keeps its first place."""
    own = IntentQuestions.from_columns(["a", "b", "A ", "c", "d"], ["i0", "i1", "i0", "i0", "i1"], list("xxxyx"))
    assert own.question == ("a", "b", "c", "d")
    assert own.intent.tolist() == [0, 1, 2, 1]
    assert own.topic.tolist() == [0, 0, 1, 0]


def test_a_question_of_two_intents_is_refused():
    with pytest.raises(
        ValueError, match="the question 'Pay ' has two intents, bank/bills and bank/cards; keep one of them"
    ):
        IntentQuestions.from_columns(["pay", "Pay "], ["bills", "cards"], ["bank", "bank"])


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        IntentQuestions.from_columns(["a", "b"], ["i"], ["t", "t"])


@pytest.mark.parametrize("confusable", [0.0, 0.5, 1.0])
def test_shares(confusable):
    """36 intents × 10 questions × 2.5 = 900 duplicates; 900 · 0.63 / 0.37 = 1532 others.

    Among those drawn from anywhere some share a topic too, at most 1 in 6.
    """
    pairs = draw(corpus(), confusable=confusable)
    assert (int(pairs.duplicate.sum()), len(pairs)) == (900, 900 + 1532)
    negatives = [
        (topic_and_intent(left), topic_and_intent(right))
        for left, right, same in zip(pairs.left_texts(), pairs.right_texts(), pairs.duplicate, strict=True)
        if not same
    ]
    same_topic = np.mean([left[0] == right[0] for left, right in negatives])
    assert confusable <= round(same_topic, 3) <= confusable + (1 - confusable) / 6 + 0.03


def test_labels_tell_whether_the_intent_is_the_same():
    pairs = draw(corpus())
    same = [
        topic_and_intent(left) == topic_and_intent(right)
        for left, right in zip(pairs.left_texts(), pairs.right_texts(), strict=True)
    ]
    assert pairs.duplicate.tolist() == same
    assert not pairs.graded


@pytest.mark.parametrize("own", [corpus(), corpus(1, 3, 4), corpus(2, 2, 3)], ids=["large", "one topic", "tiny"])
def test_no_pair_twice_in_either_direction_and_none_with_itself(own):
    """In the tiny corpora the draw runs out of negatives; it still repeats none."""
    pairs = draw(own, per_question=100, share=0.1)
    counts = Counter(frozenset(ends) for ends in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    assert max(counts.values()) == 1
    assert min(len(ends) for ends in counts) == 2


def test_an_intent_gives_no_more_duplicates_than_it_has():
    """4 questions make 4 · 3 / 2 = 6 pairs; 2.5 for each would be 10. 2 intents: 12 duplicates."""
    assert int(draw(corpus(1, 2, 4)).duplicate.sum()) == 12


def test_both_directions_occur():
    """No side is always the earlier question: a coin decides, so of 2432 pairs about half are flipped."""
    pairs = draw(corpus())
    assert 0.45 < np.mean(pairs.left < pairs.right) < 0.55
    assert 0.3 < pairs.duplicate[:500].mean() < 0.44  # and duplicates are not all in front


def test_the_draw_depends_on_the_seed_alone():
    digests = [draw(corpus(), seed=seed).digest() for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("own", [corpus(1, 1, 5), corpus(2, 3, 1)], ids=["one intent", "one question each"])
def test_a_corpus_without_pairs_is_refused(own):
    with pytest.raises(ValueError, match="two intents, one of them with two questions"):
        draw(own)


@pytest.mark.parametrize(
    "options",
    [{"share": 0.0}, {"share": 1.2}, {"confusable": 1.5}, {"confusable": -0.5}, {"per_question": 0.0}],
    ids=str,
)
def test_shares_out_of_range_are_refused(options):
    """duplicate_share lies in (0, 1], hard_negative_share in [0, 1], and each intent gives some duplicates."""
    with pytest.raises(ValueError, match=rf"duplicate_share in \(0, 1\].*got .*{next(iter(options.values()))}"):
        draw(corpus(), **options)


def test_duplicates_alone():
    """A share of 1 asks for no negatives."""
    assert draw(corpus(1, 2, 4), share=1.0).label.tolist() == [1.0] * 12


def parts_of(own, by, dev=0.1, test=0.1, seed=0):
    return split_intents(own, by, dev, test, seed)


def test_split_by_intent_shares_no_intent():
    """Of 36 intents 10 % are 3.6, rounded to 4, for dev and for test; 28 stay."""
    parts = parts_of(corpus(), "intent")
    asked = {name: {tuple(topic_and_intent(question)) for question in part.question} for name, part in parts.items()}
    assert {name: len(intents) for name, intents in asked.items()} == {"train": 28, "dev": 4, "test": 4}
    assert len(set.union(*asked.values())) == 36
    assert sum(len(part.question) for part in parts.values()) == 360


@pytest.mark.parametrize("seed", range(4))
def test_split_by_intent_leaves_confusable_intents_in_each_part(seed):
    """Intents are assigned two of a topic at a time, so dev (4 intents) has two topics of two."""
    for name in ("dev", "test"):
        part = parts_of(corpus(), "intent", seed=seed)[name]
        per_topic = Counter(topic for topic, _ in {tuple(topic_and_intent(question)) for question in part.question})
        assert min(per_topic.values()) >= 2


def test_split_by_question_keeps_all_intents_in_each_part():
    """Of 10 questions a tenth would be 1; at least 2 go to dev and 2 to test, 6 stay."""
    parts = parts_of(corpus(), "question")
    for name, count in (("train", 6), ("dev", 2), ("test", 2)):
        per_intent = Counter(tuple(topic_and_intent(question)) for question in parts[name].question)
        assert len(per_intent) == 36
        assert set(per_intent.values()) == {count}
    assert len({question for part in parts.values() for question in part.question}) == 360


@pytest.mark.parametrize("by", ["intent", "question"])
def test_split_without_test_part_and_by_seed(by):
    assert list(parts_of(corpus(), by, test=0)) == ["train", "dev"]
    questions = [parts_of(corpus(), by, seed=seed)["dev"].question for seed in (0, 0, 1)]
    assert questions[0] == questions[1] != questions[2]


@pytest.mark.parametrize("by", ["intent", "question"])
def test_a_split_of_a_split_keeps_texts_with_their_intents(by):
    own = corpus()
    name_of = dict(zip(own.question, own.intent.tolist(), strict=True))
    for part in parts_of(own, by).values():
        assert [name_of[question] for question in part.question] == part.intent.tolist()
        assert [int(question[1]) for question in part.question] == part.topic.tolist()


@pytest.mark.parametrize(
    ("own", "by", "dev", "test", "message"),
    [
        (corpus(), "topic", 0.1, 0.1, "data.split must be intent, question or pair, got 'topic'"),
        (corpus(), "intent", 0, 0.1, "got dev=0 and test=0.1"),
        (corpus(), "question", 0.5, 0.5, "got dev=0.5 and test=0.5"),
        (corpus(1, 4, 5), "intent", 0.1, 0.1, "4 intents are too few to give dev 10% and test 10% of them"),
        (corpus(1, 4, 3), "question", 0.1, 0.1, "largest intent has 3 questions, too few to leave 2 in each part"),
        (corpus(1, 1, 4), "question", 0.1, 0.1, "largest intent has 4 questions, too few to leave 2 in each part"),
    ],
)
def test_impossible_splits_are_refused(own, by, dev, test, message):
    with pytest.raises(ValueError, match=message):
        parts_of(own, by, dev, test)


def test_rare_intents_stay_in_train_and_small_ones_give_questions_to_one_part():
    """Of 4 intents of 10, 20 of 4 and 6 of 1 questions, 126 in all, a tenth is 13: 8 of the large intents, 3 times 2 of small."""
    large, small, rare = corpus(1, 4, 10), corpus(1, 20, 4), corpus(1, 6, 1)
    own = IntentQuestions.from_columns(
        *zip(
            *(
                (f"{n} {text}", f"{n} {each}", "")
                for n, one in enumerate((large, small, rare))
                for text, each in zip(one.question, one.intent, strict=True)
            ),
            strict=True,
        )
    )
    parts = parts_of(own, "question")
    for name in ("dev", "test"):
        sizes = Counter(
            (question[0], int(each)) for question, each in zip(parts[name].question, parts[name].intent, strict=True)
        )
        assert Counter((kind, size) for (kind, _), size in sizes.items()) == {("0", 2): 4, ("1", 2): 3}
    assert sum(question[0] == "2" for question in parts["train"].question) == 6
    assert sum(len(part.question) for part in parts.values()) == 126


@pytest.mark.parametrize("listed", [2**24, 0])
def test_pairs_of_a_large_intent_are_drawn_without_listing_all(monkeypatch, listed):
    """100 questions make 4,950 pairs, of which 250 are drawn, none twice, from all over."""
    monkeypatch.setattr("siamese.data.intent_pairs.LISTED", listed)
    pairs = draw(corpus(1, 2, 100))
    ends = np.sort(np.stack([pairs.left, pairs.right], axis=1)[pairs.duplicate], axis=1)
    assert len(ends) == len(np.unique(ends, axis=0)) == 500
    assert np.abs(np.median(ends % 100) - 50) < 10


def test_an_intent_gives_at_most_so_many_duplicates():
    pairs = pairs_from_intents(corpus(1, 3, 10), 2.5, 0.37, 0.5, 0, duplicates_per_intent=7)
    assert int(pairs.duplicate.sum()) == 21
    with pytest.raises(ValueError, match=r"data\.duplicates_per_intent must be at least 1, or null, got 0"):
        pairs_from_intents(corpus(1, 3, 10), 2.5, 0.37, 0.5, 0, duplicates_per_intent=0)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_blocks_of_draws_change_nothing(monkeypatch, size):
    expected = draw(corpus()).digest()
    monkeypatch.setattr("siamese.data.intent_pairs.DRAWN_TOGETHER", size)
    assert draw(corpus()).digest() == expected


def test_a_few_questions_of_each_intent_are_drawn():
    """An intent of 3 questions gives all that it has; every other question is among the others."""
    own = corpus(topics=1, intents=2)
    own = own.take(np.arange(13))  # 10 of the first intent, 3 of the second
    drawn, others = draw_few(own, 4, seed=0)
    assert Counter(drawn.intent.tolist()) == {0: 4, 1: 3}
    assert sorted(drawn.question + others.question) == sorted(own.question)
    assert draw_few(own, 4, seed=0)[0].question == drawn.question
    assert draw_few(own, 4, seed=1)[0].question != drawn.question


@pytest.mark.parametrize(("per_intent", "message"), [(1, "must be at least 2"), (10, "so none is left for test")])
def test_a_draw_that_is_no_use_is_refused(per_intent, message):
    with pytest.raises(ValueError, match=message):
        draw_few(corpus(topics=1), per_intent, seed=0)


def test_more_negatives_than_there_are_end_soon():
    """0.0001 duplicates among all pairs would be a million negatives of 12 questions."""
    questions = [f"question {row}" for row in range(12)]
    corpus = IntentQuestions.from_columns(questions, [f"intent {row % 4}" for row in range(12)], [""] * 12)
    pairs = pairs_from_intents(corpus, 2.5, 0.0001, 0.5, seed=0)
    assert (~pairs.duplicate).sum() == 12 * 11 // 2 - 4 * 3  # all that there are
