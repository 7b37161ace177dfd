"""`python -m schedsearch` is the command `schedsearch`."""

from schedsearch.cli.app import main

if __name__ == "__main__":
    main()
