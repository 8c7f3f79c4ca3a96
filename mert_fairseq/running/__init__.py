"""Old name of ``mert_fairseq.distributed``; recipes of users may name ``mert_fairseq.running.callback``."""
