"""`python -m striate` is the program `striate`."""

from striate.cli.main import main

if __name__ == "__main__":
    main()
