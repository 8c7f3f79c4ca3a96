"""Genres of the made-up trees: the 16 real roots and a real sample of what is below them, with FMA's ids."""

ROOTS = {
    38: "Experimental",
    15: "Electronic",
    12: "Rock",
    1235: "Instrumental",
    10: "Pop",
    17: "Folk",
    21: "Hip-Hop",
    2: "International",
    4: "Jazz",
    5: "Classical",
    9: "Country",
    20: "Spoken",
    3: "Blues",
    14: "Soul-RnB",
    8: "Old-Time / Historic",
    13: "Easy Listening",
}
SMALL_ROOTS = (21, 10, 17, 38, 12, 2, 15, 1235)  # the 8 balanced genres of fma_small

BELOW = {  # genre: (parent, title)
    1: (38, "Avant-Garde"),
    32: (38, "Noise"),
    107: (38, "Ambient"),
    181: (15, "Techno"),
    182: (15, "House"),
    297: (15, "Chip Music"),
    25: (12, "Punk"),
    109: (25, "Hardcore"),
    31: (12, "Metal"),
    66: (12, "Indie-Rock"),
    18: (1235, "Soundtrack"),
    76: (10, "Experimental Pop"),
    362: (10, "Synth Pop"),
    92: (17, "Psych-Folk"),
    103: (17, "Singer-Songwriter"),
    83: (21, "Alternative Hip-Hop"),
    100: (21, "Hip-Hop Beats"),
    46: (2, "Latin America"),
    86: (2, "Indian"),
    175: (86, "Bollywood"),
    178: (4, "Be-Bop"),
    176: (5, "Chamber Music"),
}
WITHOUT_TRACKS = (175, 178)  # as in the published tables


def parent_of(genre: int) -> int:
    """The genre above, or 0 for a root."""
    return 0 if genre in ROOTS else BELOW[genre][0]


def root_of(genre: int) -> int:
    """The top-level genre."""
    while genre not in ROOTS:
        genre = BELOW[genre][0]
    return genre


def with_ancestors(genres: list[int]) -> list[int]:
    """The genres and all above them, sorted."""
    found = set()
    for genre in genres:
        while genre:
            found.add(genre)
            genre = parent_of(genre)
    return sorted(found)


def below(root: int) -> list[int]:
    """A root and the genres under it that tracks may have."""
    return [root, *(genre for genre in BELOW if root_of(genre) == root and genre not in WITHOUT_TRACKS)]
