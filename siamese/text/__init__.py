"""Text: questions to token ids, and word vectors to start from."""
