"""``python -m cloudboot``: the same as the ``cloudboot`` command."""

from .cli import main

if __name__ == "__main__":
    main()
