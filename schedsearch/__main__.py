"""`python -m schedsearch` is the command `schedsearch`."""

from schedsearch.cli import main

if __name__ == "__main__":
    main()
