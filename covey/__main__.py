"""`python -m covey`: the same as `covey`."""

from .cli import main

if __name__ == "__main__":
    main()
