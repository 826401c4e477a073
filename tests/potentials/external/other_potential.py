"""What another package would offer under the entry point ``philic.potentials``."""

import dataclasses

from philic.potentials.analytic import EMT

KIND = dataclasses.replace(EMT, prefix="springs", variants=lambda: {"springs": "EMT under another name"})
