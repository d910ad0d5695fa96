"""How fast is it? Seven measurements on the machine at hand, each with its contestants in the same run.

    training.py    pairs per second, against keras_baseline.py and against limit.py, for the towers of towers.py
    encoding.py    questions per second, against minilm.py
    search.py      the nearest among up to a million vectors, against reading them once
    preparing.py   from a file to the first training step; the cold start of predict
    overhead.py    what tracking and evaluation add to a bare loop
    growth.py      time and memory from ten thousand to four million pairs
    comparing.py   experiments.compare over a thousand tracked runs

All of them measure on pairs.py, take their figures by timing.py in fresh processes (fresh_process.py), and hand
back a result.py, which __main__.py prints and tracks beside machine.py.
"""
