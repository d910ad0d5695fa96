"""Powers: those that the cosine similarity is raised to, in Keras and in NumPy alike. This module imports nothing."""

POWER = 4  # of the cosine, where none is given
HIGHEST_POWER = 64  # above it, the similarity of a cosine of 1/2 would be lost to rounding


def checked_power(power: object) -> int:
    """A power of the cosine's similarity; ValueError if it is no power of 2 from 1 to 64.

    >>> checked_power(8)
    8
    """
    if type(power) is not int or not 1 <= power <= HIGHEST_POWER or power & (power - 1):
        raise ValueError(f"similarity.power must be 1, 2, 4, 8, 16, 32 or 64, got {power!r}")
    return power
