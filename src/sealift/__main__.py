"""``python -m sealift``: the same program as ``sealift``."""

from sealift.cli.main import main

if __name__ == "__main__":
    main()
