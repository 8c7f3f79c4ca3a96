"""Genre classification from audio with a pretrained MERT: data set, model, task and prediction."""
