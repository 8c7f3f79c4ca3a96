"""Overrides of the genre recipes for trainings that take seconds."""

TINY = [
    "model.encoder_layers=1",
    "model.encoder_embed_dim=16",
    "model.encoder_ffn_embed_dim=16",
    "model.encoder_attention_heads=2",
    "task.subset=small",
    "dataset.batch_size=8",
    "lr_scheduler.warmup_updates=2",
]
