"""Commands: the programs that ask a trained model, and what they share."""
