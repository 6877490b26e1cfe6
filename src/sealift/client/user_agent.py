"""What every request of ours says about who sends it."""

from typing import Final

from sealift import __version__

USER_AGENT: Final = f"sealift/{__version__}"
