"""Features of audio from a trained model: fairseq checkpoints and Hugging Face folders alike."""

from mert_fairseq.extraction.feature_model import FeatureModel, extract_layers, load_mert
from mert_fairseq.extraction.frozen_encoder import Encoder
from mert_fairseq.extraction.load_encoder import load_encoder

__all__ = ["Encoder", "FeatureModel", "extract_layers", "load_encoder", "load_mert"]
