"""Explanation: which words carry a similarity."""
