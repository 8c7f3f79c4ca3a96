"""Jobs over many files: worker processes, locks, progress bars, tables of rejects. Uses neither torch nor fairseq."""
