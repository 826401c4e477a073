"""A melt that is quenched in seconds: several steps of molecular dynamics, one after the other, on two branches."""

import pytest

GLASS = """\
recipe: melt-quench
question: Does a melt end with the same digits, however it is run?
metal: K
hosts: cu.vasp
potential: emt
atoms: 14
timestep_fs: 4
melt_K: 3000
melt_ps: {melt_ps}
quench_K_per_ps: 40000
end_K: 2500
hold_ps: 0.1
seeds: [0, 1]
"""


@pytest.fixture(scope="session")
def glass():
    """The text of the recipe file, by the length of the melt."""
    return lambda melt_ps: GLASS.format(melt_ps=melt_ps)
