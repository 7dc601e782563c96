"""The WAD of the published hash, and one oracle for all tests."""

from __future__ import annotations

import pytest

from cloudboot_doom_oracle import Oracle, Script, Wad, find_wads, harvest, parse_script, read_oracle, write_oracle
from cloudboot_doom_oracle.testing import SCRIPT

CHECKPOINTS = (1, 35, 70, 140, 160)


@pytest.fixture(scope="session")
def wad() -> Wad:
    """PyPI's vizdoom brings it; it is a test dependency, so it is there."""
    return Wad(find_wads()[0])


@pytest.fixture(scope="session")
def script() -> Script:
    """Keys that start a game."""
    return parse_script(SCRIPT)


@pytest.fixture(scope="session")
def oracle(wad: Wad, script: Script, tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """An oracle with keys."""
    folder = tmp_path_factory.mktemp("oracle") / "keys"
    write_oracle(harvest(wad, script, CHECKPOINTS), folder)
    return read_oracle(folder)
