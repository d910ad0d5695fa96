"""Comparison: from tracked runs to a conclusion.

Read it in this order, which is the way of the runs:

    options.py     runs that differ in the seed alone are one option; options measured alike are one group
    paired.py      two options on the same pairs: is the difference more than chance?
    conclusion.py  the answer in words
    importance.py  which choice matters most
    tables.py      options and tests as Markdown
    page.py        the page of a comparison: conclusion, tables, figures
    readme.py      the tables of results in the README
"""
