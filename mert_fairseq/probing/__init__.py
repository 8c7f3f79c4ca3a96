"""Frozen-feature probes: how well a simple head reads tasks of music from the layers of a model.

A probe takes features of every layer once, then searches layer and learning rate on the validation split, over several
seeds, and tests the winner. The protocol is MARBLE's constrained track (arXiv:2306.10548); docs/probes.md says where
its code and its paper differ.
"""
