"""`python -m covey`: the same as `covey`."""

from covey.cli import main

if __name__ == "__main__":
    main()
