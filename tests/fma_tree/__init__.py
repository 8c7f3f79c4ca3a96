"""Made-up FMA trees for tests: the published headers, a few hundred rows, real MP3 and FLAC, all kinds of damage.

    from fma_tree import build_fma_tree
    tree = build_fma_tree(tmp_path, per_genre=10)
    fma = FMA(tree.metadata_dir, tree.audio_dir)

The genres can be learnt, from features.csv (partly only by a non-linear model) and from the audio.
"""

from fma_tree.tree import FMATree, build_fma_tree

__all__ = ["FMATree", "build_fma_tree"]
