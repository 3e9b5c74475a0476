"""Runs the command line: python -m loader."""

from loader.cli import main

if __name__ == "__main__":
    main()
