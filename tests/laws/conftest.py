"""Laws are looked for with the same examples in every run: a failure is a failure for everyone."""

from hypothesis import settings

settings.register_profile("laws", derandomize=True, max_examples=200, deadline=None, database=None)
settings.load_profile("laws")
