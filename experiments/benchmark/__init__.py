"""How fast is it? Nine measurements on the machine at hand, each with its contestants in the same run.

    training.py    pairs per second, against keras_baseline.py and the machine's limit, for towers.py
    encoding.py    questions per second, against MiniLM
    search.py      the nearest among up to a million vectors, against reading them once and against faiss
    mining.py      all near pairs, and their growth, against faiss and sentence-transformers
    preparing.py   from a file to the first training step; the cold start of predict
    overhead.py    what tracking and evaluation add to a bare loop, and to a study (study_overhead.py)
    growth.py      time and memory from ten thousand to four million pairs
    comparing.py   experiments.compare over a thousand tracked runs
    serving.py     requests per second and their latency, by load.py

Each has a function `measure`, whose arguments are its settings in conf/benchmark.yaml, where they are explained. run.py
calls it in a fresh process (fresh_process.py), prints its result (result.py), and tracks it with machine.py.
"""
