"""Swaps: the words of a question stay, two of them change places."""

import re
from collections import Counter

import numpy as np

from siamese.evaluation import swaps as module
from siamese.evaluation.swaps import question_frequency, swaps

COMMON = ["how do i go from the station to the park ?"] * 97
QUESTIONS = [
    "How do I send 20 euros to Berlin and 50 euros to Rome?",
    'Can "Anna" drive (Ben) home?',
    "Anna's mother doesn't owe 1,500 euros on the 10th, does she?",
    "Comment aller de l'hôtel du parc à Genève ?",
    "What is it?",
    "How do I go to the station?",
]
WHOLE = r"\w+(?:[',]\w+)*"  # words with elisions and numbers with commas
FREQUENCY = question_frequency([*COMMON, *QUESTIONS])


def swapped(questions=QUESTIONS, seed=0):
    return swaps(questions, FREQUENCY, len(COMMON) + len(QUESTIONS), seed)


def test_a_swap_keeps_the_bag_of_words_and_all_that_is_not_a_word():
    for seed in range(20):
        found = swapped(seed=seed)
        assert len(found) == 4, "two questions have no two rare words"
        for question, other in found:
            assert question in QUESTIONS
            assert Counter(re.findall(WHOLE, question)) == Counter(re.findall(WHOLE, other))
            assert re.sub(WHOLE, "", question) == re.sub(WHOLE, "", other)
            before, after = re.findall(WHOLE, question), re.findall(WHOLE, other)
            (first, second) = np.flatnonzero([one != two for one, two in zip(before, after, strict=True)])
            assert first > 0, "the first word stays"
            assert second - first >= 2, "a word stands between them"


def test_only_rare_words_and_numbers_are_swapped():
    frequent = {word for word, count in FREQUENCY.items() if count > 2}
    assert {"how", "do", "i", "to", "the"} <= frequent
    for question, other in (pair for seed in range(20) for pair in swapped(seed=seed)):
        words = (re.findall(WHOLE, text.casefold()) for text in (question, other))
        assert not {one for one, two in zip(*words, strict=True) if one != two} & frequent
    numbers = question_frequency(["the 20 or the 50"] * 9)
    assert swaps(["Is the 20 or the 50 right"], numbers | {"right": 9, "is": 9}, 9) == [
        ("Is the 20 or the 50 right", "Is the 50 or the 20 right")
    ]


def test_the_seed_alone_decides():
    assert swapped(seed=3) == swapped(seed=3)
    assert len({str(swapped(seed=seed)) for seed in range(10)}) > 1


def test_many_questions_are_sampled(monkeypatch):
    monkeypatch.setattr(module, "MOST", 5)
    questions = [f"Where does person{i} meet friend{i}?" for i in range(50)]
    found = swapped(questions)
    assert len(found) == len(set(found)) == 5


def test_a_word_counts_once_a_question():
    assert question_frequency(["Pay, pay and PAY", "don't pay"]) == {"pay": 2, "and": 1, "don": 1, "t": 1}
