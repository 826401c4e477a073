"""Structures for training and testing a potential: sampled, chosen, labelled, written with where they come from."""
