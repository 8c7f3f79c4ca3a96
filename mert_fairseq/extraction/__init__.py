"""Features of audio from a trained model: fairseq checkpoints and Hugging Face folders alike."""

from mert_fairseq.extraction.encoder import Encoder, load_encoder

__all__ = ["Encoder", "load_encoder"]
