"""A campaign: the cells of a matrix, run a few at a time, each result recorded when it comes.

- :mod:`.engine`: what runs next, retries, twins, cancellation;
- :mod:`.executor`: where cells run, as a protocol; :mod:`.dask` is a Dask cluster;
- :mod:`.folder`: the campaign's folder with its journal, state and results; :mod:`.tally`: counts, rates and causes.
"""

from .engine import Campaign, Choice
from .executor import Executor, Finished, Handed, Lost
from .folder import CampaignFolder
from .tally import Tally

__all__ = ["Campaign", "CampaignFolder", "Choice", "Executor", "Finished", "Handed", "Lost", "Tally"]
