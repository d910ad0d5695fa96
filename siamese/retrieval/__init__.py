"""Retrieval: nearest questions, duplicates of a collection, clusters."""
