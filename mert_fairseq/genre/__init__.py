"""Genre classification after training: the command mert-genre, reports, baselines."""
