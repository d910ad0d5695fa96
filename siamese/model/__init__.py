"""Model: towers, similarities and losses in Keras."""
