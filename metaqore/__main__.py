"""``python -m metaqore``."""

from metaqore.cli.main import main

if __name__ == "__main__":
    main()
