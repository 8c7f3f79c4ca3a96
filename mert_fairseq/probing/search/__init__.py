"""The search for layer and learning rate: all heads of a task trained together as one batched model."""
