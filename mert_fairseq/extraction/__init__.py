"""Features of audio from a trained model: fairseq checkpoints and Hugging Face folders alike."""

from mert_fairseq.extraction.encoder import Encoder, load_encoder
from mert_fairseq.extraction.model import FeatureModel, extract_layers, load_mert

__all__ = ["Encoder", "FeatureModel", "extract_layers", "load_encoder", "load_mert"]
