"""Checkpoints of MERT as Hugging Face folders and back, and as ONNX files."""
