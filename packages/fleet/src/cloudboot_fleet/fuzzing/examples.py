"""A pytest plugin: Hypothesis keeps its examples in the folder that ``CLOUDBOOT_FLEET_EXAMPLES`` names.

``python -m pytest -p cloudboot_fleet.fuzzing.examples`` with another seed finds other examples; those that fail are
kept, and tried first by every run that uses the folder.
"""

from __future__ import annotations

import os


def pytest_sessionstart() -> None:
    """Make the profile; after the conftest files, which may have loaded another one."""
    from hypothesis import HealthCheck, settings
    from hypothesis.database import DirectoryBasedExampleDatabase

    folder = os.environ["CLOUDBOOT_FLEET_EXAMPLES"]
    settings.register_profile(
        "cloudboot-fleet",
        database=DirectoryBasedExampleDatabase(folder),
        max_examples=int(os.environ.get("CLOUDBOOT_FLEET_MAX_EXAMPLES", "200")),
        deadline=None,
        derandomize=False,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("cloudboot-fleet")
