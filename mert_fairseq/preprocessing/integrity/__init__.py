"""Whether an audio file is complete and what its name says: signatures, chunks, pages, and reasons for rejects."""
