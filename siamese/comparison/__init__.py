"""Comparison: from tracked runs to a conclusion.

Read it in this order:

    options.py       runs that differ only in the seed are one option; options measured alike are one group
    paired_tests.py  is the difference of two options on the same pairs more than chance?
    conclusion.py    the answer in words
    importance.py    which choice matters most
    tables.py        options and tests as Markdown
    figures.py       forest plot, learning curves, cost, growth
    page.py          the page of a comparison
"""
