"""``python -m flexclim`` is the command ``flexclim``."""

from flexclim.cli import main

if __name__ == "__main__":
    main()
