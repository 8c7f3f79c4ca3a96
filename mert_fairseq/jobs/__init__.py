"""Jobs over many files: commands, worker processes, job arrays, locks, progress bars, tables of rejects.

Uses neither torch nor fairseq.
"""
