"""Hypothesis without deadlines: how long an example takes says more about the machine than about the package."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("gpt", deadline=None)
settings.load_profile("gpt")
