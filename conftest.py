"""How the tests of every package run: without deadlines, and in CI without skips.

A proof that did not run proves nothing, so in CI a skipped test is a failed one.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A slow example is a slow machine here; with CI set Hypothesis does the same by itself.
settings.register_profile("workspace", deadline=None)
if not os.environ.get("CI"):
    settings.load_profile("workspace")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a green run with skips into a red one where ``CI`` is set."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == 0 and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("CI: skipped tests count as failures", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
