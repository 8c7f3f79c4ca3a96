"""The search for layer and learning rate: all heads of a task trained side by side as one batched model."""
