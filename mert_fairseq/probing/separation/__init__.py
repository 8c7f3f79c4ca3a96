"""Source separation from frozen features: Open-Unmix with features in place of the spectrogram."""
