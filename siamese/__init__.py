"""Siamese networks for duplicate questions: from two texts to one verdict.

Read it in this order, which is the way of the data:

    data/texts.py        many texts in one piece of memory
    data/pairs.py        what a labelled pair is; data/sources.py brings them, data/splits.py parts them;
                         data/records.py streams unlabelled ones, leaving none out
    text/vectorizer.py   text -> token ids: vocabulary.py learns the words, chunks.py finds each distinct one once;
                         text/word_vectors.py starts the embedding table
    text/batches.py      pairs -> length-bucketed batches in which every question stands once
    model/layers.py      the towers' own layers, which compute each distinct word once and no padding; lstm.py
    model/towers.py      token ids -> embedding
    model/similarity.py  two embeddings -> a similarity in [0, 1]; manhattan.py: all with all, fast
    model/levels.py      what a tower made of the words after each layer
    model/losses.py      how wrong that is; model/network.py puts tower and similarity together
    devices.py           one device, several, or several hosts: each encodes a share of the batch
    optimizer.py         how fast to learn, and when; training.py: batches in, weights of the best epoch out
    evaluation/          thresholds for a criterion and calibration from dev, metrics, figures, baselines;
                         comparison.py tells whether a difference is more than chance
    light/               a trained network in NumPy alone, as fast as two cores allow; export.py makes it
    export/              a detector for other programs and languages: ONNX, SavedModel, tokenizer.json
    model_folder.py      where MLflow keeps a model, as a folder
    detector.py          what a trained run leaves behind: text in, verdict out, without TensorFlow
    why.py               which words carry a verdict; heat_map.py draws them
    newest.py            which detector was trained last, told in milliseconds
    geometry.py          where similar questions lie near each other, whatever the similarity
    search.py            the most similar of many embeddings, exactly; approximate_index.py: of millions, by faiss
    near_pairs.py        all near pairs of many points; neighbours.py: the nearest of each
    mining.py            all duplicates in a collection; clusters.py: what hangs together
    collection.py        questions kept in a folder, to search, add to and take from
    tracking/            runs in MLflow; model_store.py keeps and finds their detectors, serving.py puts one behind
                         MLflow's scoring server, served_model.py is what MLflow loads: only these know it
"""
