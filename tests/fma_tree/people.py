"""Artists, albums, licences and texts of the made-up trees, with the oddities of the real table."""

LICENCES = (  # spellings of the real table, the common ones first
    "Attribution-NonCommercial-ShareAlike 3.0 International",
    "Attribution-Noncommercial-Share Alike 3.0 United States",
    "Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International",
    "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0",
    "Attribution",
    "Attribution-ShareAlike 3.0 International",
    "Attribution-NoDerivatives 4.0",
    "CC0 1.0 Universal",
    "Public Domain Mark 1.0",
    "FMA-Limited: Download Only",
    "",
)
LICENCE_SHARES = (0.3, 0.12, 0.16, 0.12, 0.1, 0.06, 0.04, 0.03, 0.02, 0.03, 0.02)

TITLES = (  # pandas reads some of these as missing unless told otherwise; others try the CSV reader
    "Food",
    "None",
    "NA",
    "null",
    'The "Spiritual" Night Live',
    "Cielo, Mar y Nada",
    "Größe 二つの月",
    "nan",
    "This World\tof Tabs",
)
TAGS = ("lo-fi", "live", "it's", 'the "hop"', "São Paulo", "ambient, dark")
BIO = '<p>Formed in a "garage", they say.</p>\n<p>Second line; with a comma, and\r\na Windows line break.</p>'
ALBUM_TYPES = ("Album", "Single Tracks", "Live Performance", "Radio Program", "Contest", "")
LANGUAGES = ("en", "de", "fr", "")
PLACES = (("New Jersey", 40.06, -74.41), ("Lisboa, Portugal", 38.72, -9.14), ("", None, None))
