"""Settings that every test shares."""

from hypothesis import settings

# The same examples everywhere and always; no example fails for being slow.
settings.register_profile("crbatch", derandomize=True, deadline=None)
settings.load_profile("crbatch")
