"""Deterministic DOOM runs as test oracles, and gates that compare them with what virtual devices show and play.

- :mod:`.engine`: engines that are stepped tic by tic, in a process of their own;
- :mod:`.oracle`: harvesting a run into files, and reading them;
- :mod:`.gates`: exact gates (A, B, C-1, C-2), and tolerant ones for captures of guests that run free;
- :mod:`.audio`: an integer mixer, WAV files, envelopes;
- :mod:`.report`: one HTML page.
"""

from .engine import CDoomEngine, Engine, Frame, SoundEvent
from .errors import EngineError, GuestError, ManifestError, OracleError, OtherWadError, ScriptError, WadError, WavError
from .keys import KEYS, Key
from .oracle import Checkpoint, Harvest, Manifest, Oracle, harvest, read_oracle, write_oracle
from .script import KeyEvent, Script, parse_script, read_script
from .wad import Wad, find_wads

__all__ = [
    "KEYS",
    "CDoomEngine",
    "Checkpoint",
    "Engine",
    "EngineError",
    "Frame",
    "GuestError",
    "Harvest",
    "Key",
    "KeyEvent",
    "Manifest",
    "ManifestError",
    "Oracle",
    "OracleError",
    "OtherWadError",
    "Script",
    "ScriptError",
    "SoundEvent",
    "Wad",
    "WadError",
    "WavError",
    "find_wads",
    "harvest",
    "parse_script",
    "read_oracle",
    "read_script",
    "write_oracle",
]
