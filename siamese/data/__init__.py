"""Data: labelled pairs of questions and collections of questions, from files, generators and TFDS."""
