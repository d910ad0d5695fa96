"""Export: a trained detector for other programs and languages.

    sample.py      which detector, and the labelled pairs on which its export is measured
    writing.py     the models in every format, and the tokenizer, each tried out
    measuring.py   how far each is from the network, and what smaller weights cost

__main__.py reads as the export goes: sample, writing, measuring, README.
"""
