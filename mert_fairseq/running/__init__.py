"""Old name of ``mert_fairseq.distributed``, kept because users' recipes may name ``mert_fairseq.running.callback``."""
