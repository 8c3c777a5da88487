"""Instances → the text of classes, each block worked out once with numbers that remember."""
