"""Streams of bytes, let go of when they are left.

A generator that is left in the middle is closed when the interpreter finds the
time; until then it holds its connection or its file. Whoever reads a stream
that is not its own reads it inside `closing`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def closing(stream: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """A stream that is closed at the end, where it can be; `contextlib.aclosing` takes no other."""
    try:
        yield stream
    finally:
        closer = getattr(stream, "aclose", None)
        if closer is not None:
            await closer()
