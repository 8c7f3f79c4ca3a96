"""Beats: labels of frames, decoders from activations to times, and the F measure."""
