"""Published results of frozen probes, shown beside results on the same data under the same protocol."""

# MARBLE's constrained track (arXiv:2306.10548), MuQ's and MERT-v2's own tables; shares of 1.
MERT_95M, MERT_330M, MUQ, MERT2 = "MERT-v1-95M", "MERT-v1-330M", "MuQ-iter", "MERT-v2-30s"

PUBLISHED: dict[str, dict[str, dict[str, float]]] = {
    "mtt": {
        MERT_95M: {"roc_auc": 0.910, "average_precision": 0.393},
        MERT_330M: {"roc_auc": 0.911, "average_precision": 0.395},
        MUQ: {"roc_auc": 0.914, "average_precision": 0.401},
        MERT2: {"roc_auc": 0.919, "average_precision": 0.413},
    },
    "giantsteps-key": {
        MERT_95M: {"weighted_score": 0.635},
        MERT_330M: {"weighted_score": 0.617},
        MUQ: {"weighted_score": 0.650},
        MERT2: {"weighted_score": 0.670},
    },
    "gtzan-genre": {
        MERT_95M: {"accuracy": 0.748},
        MERT_330M: {"accuracy": 0.776},
        MUQ: {"accuracy": 0.856},
        MERT2: {"accuracy": 0.917},
    },
    "gtzan-beats": {
        MERT_95M: {"beat_f": 0.883},
        MERT_330M: {"beat_f": 0.879},
        MUQ: {"beat_f": 0.901},
        MERT2: {"beat_f": 0.906},
    },
    "emomusic": {
        MERT_95M: {"r2_valence": 0.555, "r2_arousal": 0.763},
        MERT_330M: {"r2_valence": 0.590, "r2_arousal": 0.758},
        MUQ: {"r2_valence": 0.628, "r2_arousal": 0.761},
        MERT2: {"r2_valence": 0.632, "r2_arousal": 0.800},
    },
    "nsynth-instrument": {MERT_95M: {"accuracy": 0.707}, MERT_330M: {"accuracy": 0.726}, MUQ: {"accuracy": 0.797}},
    "nsynth-pitch": {MERT_95M: {"accuracy": 0.926}, MERT_330M: {"accuracy": 0.944}, MUQ: {"accuracy": 0.913}},
    "vocalset-technique": {MERT_95M: {"accuracy": 0.742}, MERT_330M: {"accuracy": 0.769}, MUQ: {"accuracy": 0.816}},
    "vocalset-singer": {MERT_95M: {"accuracy": 0.837}, MERT_330M: {"accuracy": 0.871}, MUQ: {"accuracy": 0.962}},
    "mtg-instrument": {
        MERT_95M: {"roc_auc": 0.775, "average_precision": 0.194},
        MERT_330M: {"roc_auc": 0.781, "average_precision": 0.198},
    },
    "mtg-moodtheme": {
        MERT_95M: {"roc_auc": 0.764, "average_precision": 0.134},
        MERT_330M: {"roc_auc": 0.765, "average_precision": 0.140},
    },
    "mtg-genre": {
        MERT_95M: {"roc_auc": 0.871, "average_precision": 0.188},
        MERT_330M: {"roc_auc": 0.867, "average_precision": 0.186},
    },
    "mtg-top50": {
        MERT_95M: {"roc_auc": 0.830, "average_precision": 0.290},
        MERT_330M: {"roc_auc": 0.834, "average_precision": 0.299},
    },
    "musdb18": {
        MERT_95M: {"sdr_vocals": 5.5, "sdr_drums": 5.5, "sdr_bass": 3.8, "sdr_other": 3.1},
        MERT_330M: {"sdr_vocals": 5.3, "sdr_drums": 5.6, "sdr_bass": 3.6, "sdr_other": 3.0},
    },
}
