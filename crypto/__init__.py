"""Field, XOF, shares and noise: pure functions over arrays. No I/O, no clock; randomness is passed in."""
