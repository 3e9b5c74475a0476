"""Runs the command line: python -m loader."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it in order already while it imports what it needs."""
    try:
        from loader.cli import main as run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
