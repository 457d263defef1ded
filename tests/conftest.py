"""What holds for every test."""

from hypothesis import settings

# how long an example takes says how busy the machine is, and nothing about the code
settings.register_profile("evalkit", deadline=None)
settings.load_profile("evalkit")
