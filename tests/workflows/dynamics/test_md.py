import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import fields

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene
from ase.constraints import FixAtoms, FixBondLengths
from ase.units import kB

from philic.potentials import Prediction, load
from philic.workflows.dynamics import md as module
from philic.workflows.dynamics.conditions import default_timestep_fs, thin_cell
from philic.workflows.dynamics.md import md
from philic.workflows.dynamics.trajectory import Frames, append, read, restore
from philic.workflows.stores.result import Status


@pytest.fixture
def emt():
    return load("emt")


def copper(cell_A=3.61):
    return bulk("Cu", a=cell_A, cubic=True)


def salt():
    return bulk("NaCl", "rocksalt", a=5.64, cubic=True)


def run(structures, potential, tmp_path, steps=20, **parameters):
    folders = parameters.pop("folders", None) or [tmp_path / str(i) for i in range(len(structures))]
    parameters = {"temperature_K": 300.0, "timestep_fs": 5.0} | parameters
    return dict(md(structures, potential, folders=folders, steps=steps, **parameters))


def assert_same_trajectory(one, other):
    for field in fields(Frames):
        np.testing.assert_array_equal(getattr(read(one).frames, field.name), getattr(read(other).frames, field.name))


@pytest.mark.parametrize(
    "parameters",
    [
        {"thermostat": "langevin"},
        {"thermostat": "nose-hoover"},
        {"thermostat": "bussi", "pressure_GPa": 0.0, "isotropic": False},
    ],
)
def test_killed_at_any_moment_it_ends_like_an_unbroken_run(parameters, emt, tmp_path):
    steps = 240
    code = f"""
        from pathlib import Path
        from ase.build import bulk
        from philic.potentials import Prediction, load
        from philic.workflows.dynamics import md as module
        module.CHUNK = 4
        start = bulk("Cu", a=3.61, cubic=True)
        folders = [Path({str(tmp_path)!r}) / name for name in "ab"]
        for _ in module.md([start, start], load("emt"), folders=folders, steps={steps}, temperature_K=[300.0, 600.0],
                           seed=[1, 2], timestep_fs=5.0, **{parameters!r}):
            pass
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for killed in range(2):
        child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=environment)
        chunks = 2 + 3 * killed
        while child.poll() is None and len(list(tmp_path.glob("b/*.npz"))) <= chunks:
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert restore(tmp_path / "b")["step"] < steps
    start = [copper(), copper()]
    same = {"temperature_K": [300.0, 600.0], "seed": [1, 2], **parameters}
    ended = run(start, emt, tmp_path, steps, folders=[tmp_path / "a", tmp_path / "b"], **same)
    unbroken = run(start, emt, tmp_path, steps, folders=[tmp_path / "c", tmp_path / "d"], **same)
    for index, (one, other) in enumerate((("a", "c"), ("b", "d"))):
        assert_same_trajectory(tmp_path / one, tmp_path / other)
        assert {**ended[index].scalars, "folder": ""} == {**unbroken[index].scalars, "folder": ""}
        assert ended[index].force_calls < unbroken[index].force_calls == steps + 1
        here, there = restore(tmp_path / one), restore(tmp_path / other)
        for name in there:
            np.testing.assert_array_equal(here[name], there[name])


def test_a_longer_run_reuses_a_shorter_one_and_a_shorter_one_a_longer(emt, tmp_path):
    short = run([copper()], emt, tmp_path, 40, folders=[tmp_path / "extended"])[0]
    long = run([copper()], emt, tmp_path, 80, folders=[tmp_path / "extended"])[0]
    run([copper()], emt, tmp_path, 80, folders=[tmp_path / "whole"])
    assert_same_trajectory(tmp_path / "extended", tmp_path / "whole")
    assert long.force_calls == 40
    again = run([copper()], emt, tmp_path, 40, folders=[tmp_path / "whole"])[0]
    assert again.force_calls == 0
    assert {**again.scalars, "folder": ""} == {**short.scalars, "folder": ""}
    np.testing.assert_array_equal(again.structures["final"].positions, short.structures["final"].positions)


def test_company_does_not_change_a_run(emt, tmp_path):
    run([copper(), copper(3.7)], emt, tmp_path, seed=[1, 2], folders=[tmp_path / "a", tmp_path / "b"])
    run([copper(3.7)], emt, tmp_path, seed=2, folders=[tmp_path / "alone"])
    assert_same_trajectory(tmp_path / "b", tmp_path / "alone")


def test_the_timestep_of_a_run_does_not_depend_on_its_company(tmp_path):
    lithium, hydrogen = (
        Atoms(symbols, positions=[[0, 0, 0], [4, 0, 0]], cell=[25] * 3, pbc=True) for symbols in ("Li2", "H2")
    )
    folders = [tmp_path / "a", tmp_path / "b"]
    outcomes = dict(md([lithium, hydrogen], load("lj"), folders=folders, steps=40, temperature_K=30.0))
    assert [outcomes[i].scalars["timestep_fs"] for i in range(2)] == [pytest.approx(2.0), pytest.approx(0.5)]


def test_notes_travel_to_the_end_and_do_not_make_another_run(emt, tmp_path):
    run([copper()], emt, tmp_path)
    noted = copper()
    noted.info["philic"] = {"host": "Cu"}
    noted.set_momenta(np.ones((4, 3)))
    final = run([noted], emt, tmp_path)[0].structures["final"]
    assert final.info["philic"] == {"host": "Cu"}
    assert not final.has("momenta")


def test_seeds_make_different_runs(emt, tmp_path):
    outcomes = run([copper(), copper()], emt, tmp_path, seed=[1, 2])
    assert outcomes[0].scalars["potential_eV"] != outcomes[1].scalars["potential_eV"]


def test_the_input_is_left_as_it_is_and_every_force_call_is_counted(emt, tmp_path):
    atoms, calls = copper(), []
    outcome = run([atoms], emt, tmp_path, watch=calls.append)[0]
    assert atoms == copper()
    assert calls == [0] * 21
    assert len(outcome.arrays["times_ps"]) == 6
    assert outcome.message.startswith("0.1 ps at ")


def test_a_run_of_six_frames_is_too_short_to_judge(emt, tmp_path):
    outcome = run([copper()], emt, tmp_path)[0]
    assert outcome.status is Status.UNCONVERGED
    assert outcome.scalars["temperature_error_K"] is None
    assert "fewer than 10 frames are left, too few to judge its temperature: run longer" in outcome.message


# Kinetic energy of the starts is about 0.04 eV an atom; CHGNet's forces are float32.
@pytest.mark.parametrize(
    ("name", "atoms", "temperature_K", "steps"),
    [("emt", copper(), 300.0, 200), ("lj", bulk("Ar", a=5.4, cubic=True), 40.0, 40), ("chgnet", salt(), 300.0, 40)],
)
def test_energy_is_conserved(name, atoms, temperature_K, steps, tmp_path):
    atoms.rattle(0.03, seed=0)
    parameters = {"thermostat": "none", "timestep_fs": 2.0, "temperature_K": temperature_K}
    run([atoms], load(name), tmp_path, steps, **parameters)
    frames = read(tmp_path / "0").frames
    total = (frames.potential_eV + frames.kinetic_eV) / len(atoms)
    assert np.ptp(total) < 0.01 * np.ptp(frames.kinetic_eV / len(atoms)) + 1e-5
    assert (frames.bath_eV == 0).all()


def test_a_mace_conserves_energy(tiny_mace, tmp_path):
    atoms = bulk("KF", "rocksalt", a=5.4, cubic=True)
    atoms.rattle(0.03, seed=0)
    run([atoms], load(f"mace:{tiny_mace()}"), tmp_path, 40, thermostat="none", timestep_fs=1.0)
    frames = read(tmp_path / "0").frames
    total = frames.potential_eV + frames.kinetic_eV
    assert np.ptp(total) < 0.02 * np.ptp(frames.kinetic_eV)


def test_chgnet_takes_up_a_run_bit_for_bit(tmp_path):
    chgnet = load("chgnet")
    for folder, lengths in (("parts", (5, 10)), ("whole", (10,))):
        for steps in lengths:
            folders = [tmp_path / folder / name for name in "ab"]
            run([salt(), salt()], chgnet, tmp_path, steps, seed=[1, 2], timestep_fs=4.0, folders=folders)
    assert_same_trajectory(tmp_path / "parts" / "a", tmp_path / "whole" / "a")
    assert_same_trajectory(tmp_path / "parts" / "b", tmp_path / "whole" / "b")


def test_fixed_atoms_stay(emt, tmp_path):
    atoms = copper()
    atoms.set_constraint(FixAtoms([0]))
    final = run([atoms], emt, tmp_path)[0].structures["final"]
    np.testing.assert_allclose(final.positions[0], atoms.positions[0], atol=1e-4)
    assert np.linalg.norm(final.positions - atoms.positions, axis=1)[1:].min() > 0.01


def test_a_squeezed_crystal_expands_under_no_pressure(emt, tmp_path):
    squeezed = copper(3.4) * (2, 1, 1)
    outcome = run([squeezed], emt, tmp_path, 400, pressure_GPa=0.0, isotropic=False)[0]
    # ASE's EMT copper has a lattice constant of 3.59 Å; at 300 K it is a little more
    assert outcome.structures["final"].get_volume() / 8 == pytest.approx(3.6**3 / 4, rel=0.05)
    assert outcome.scalars["drift_meV_per_atom_ps"] is None
    assert abs(outcome.scalars["pressure_GPa"]) < 5
    grown = outcome.scalars["volume_A3"] / squeezed.get_volume() - 1
    assert outcome.scalars["expansion_percent"] == pytest.approx(100 * grown)
    vectors = [1 + outcome.scalars[f"expansion_{name}_percent"] / 100 for name in "abc"]
    assert np.prod(vectors) - 1 == pytest.approx(grown, rel=0.03)  # the cell stays nearly rectangular
    assert f"; the volume changed by {100 * grown:+.1f} ± " in outcome.message
    assert "which may be chance, because a cell follows within about 1 ps: run at least 10 ps longer" in outcome.message


def opened(folder, **changes):
    about = {"temperature_K": 300.0, "timestep_fs": 5.0, "thermostat": "bussi", "pressure_GPa": None, "isotropic": True}
    return module._open(0, copper(), folder, about | {"mobile": None, "seed": 0, "potential": {}} | changes)


def test_numbers_that_are_none_stop_a_run(tmp_path):
    nothing = np.full((4, 3), np.nan)
    outcome = module._advance(opened(tmp_path / "0"), Prediction(np.nan, nothing), 5.0, 40)
    assert outcome.status is Status.FAILED
    assert outcome.message.startswith("it exploded at step 1: nan K instead of 300 K; relax the start")


def test_a_run_whose_energy_still_falls_is_not_converged(tmp_path):
    """Frames whose potential energy falls to the end, at the temperature that was asked for."""
    n = 61
    kinetic_eV, falls = np.full(n, 9 * kB * 300.0 / 2), -0.1 * np.arange(n)
    same, cells = np.repeat(copper().positions[None], n, axis=0), np.repeat(copper().cell.array[None], n, axis=0)
    ended = opened(tmp_path / "0")
    append(tmp_path / "0", Frames(4 * np.arange(n), same, cells, falls, kinetic_eV, 0 * falls, 0 * falls))
    outcome = module._summary(ended, 5.0, 4 * (n - 1))
    assert outcome.status is Status.UNCONVERGED
    assert "the potential energy still drifts after half of the run: run longer" in outcome.message
    assert outcome.scalars["temperature_K"] == pytest.approx(300.0)
    assert outcome.scalars["drift_meV_per_atom_ps"] == pytest.approx(-100 / 4 / 0.02)


def test_a_cell_that_evaporates_stops_the_run(emt, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EVAPORATED", 1.05)
    outcome = run([copper(3.4)], emt, tmp_path, 400, pressure_GPa=0.0)[0]
    assert outcome.status is Status.FAILED
    assert re.search(
        r"the cell is 1\.[12] times as large as at the start: take a lower temperature, or a higher pressure",
        outcome.message,
    )


def test_at_constant_energy_a_start_at_rest_settles_at_what_was_asked(emt, tmp_path):
    outcome = run([copper(3.59) * (2, 1, 1)], emt, tmp_path, 400, thermostat="none")[0]
    assert outcome.scalars["temperature_K"] == pytest.approx(300.0, rel=0.05)
    assert outcome.status is Status.CONVERGED


def test_at_constant_energy_a_start_that_is_not_at_rest_ends_elsewhere(emt, tmp_path):
    strained = copper(3.59) * (2, 1, 1)
    strained.rattle(0.07, seed=0)
    outcome = run([strained], emt, tmp_path, 400, thermostat="none")[0]
    assert outcome.status is Status.UNCONVERGED
    assert re.search(r"it ran at \d+ ± \d+ K, \d+ % hotter than the 300 K asked for: run longer, or take", outcome.message)


@pytest.mark.parametrize("part", [0.0, 0.5])
@pytest.mark.parametrize("name", ["0000000036.npz", "0000000020.npz", "checkpoint.npz", "run.json"])
def test_a_damaged_run_begins_anew_and_gives_the_same_digits(name, part, emt, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "CHUNK", 4)
    folder = tmp_path / "0"
    run([copper()], emt, tmp_path, 40)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(part * len(content))])
    (outcome,) = run([copper()], emt, tmp_path, 64).values()
    assert re.search(rf"`{folder}.*; what is there is set aside, and the run begins anew", caplog.text)
    assert outcome.force_calls == 65
    run([copper()], emt, tmp_path, 64, folders=[tmp_path / "whole"])
    assert_same_trajectory(folder, tmp_path / "whole")


@pytest.mark.parametrize("written", ["0000000036.npz", "checkpoint.npz"])
def test_a_disk_that_fills_up_loses_nothing_and_the_run_goes_on(written, emt, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4)
    folder = tmp_path / "0"
    run([copper()], emt, tmp_path, 32)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / f"{written}.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=f"{written}` cannot be written: No space left on device; make room and run again"):
        run([copper()], emt, tmp_path, 64)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: after[name] for name in before} == before
    run([copper()], emt, tmp_path, 64)
    run([copper()], emt, tmp_path, 64, folders=[tmp_path / "whole"])
    assert_same_trajectory(folder, tmp_path / "whole")


def test_an_explosion_stops_the_run(emt, tmp_path):
    squeezed = copper(3.0)
    squeezed.rattle(0.2, seed=0)
    outcomes = run([squeezed, copper()], emt, tmp_path, 200, temperature_K=[30.0, 300.0])
    assert outcomes[0].status is Status.FAILED
    assert outcomes[0].message.startswith("it exploded at step ")
    assert outcomes[0].message.endswith(" K instead of 30 K; relax the start, or take a shorter timestep")
    assert outcomes[1].status is not Status.FAILED


def test_an_atom_that_leaves_is_no_explosion(tmp_path):
    pair = Atoms("Li2", positions=[(0, 0, 0), (5.8, 0, 0)], cell=[30, 30, 30], pbc=True)
    asked = {"temperature_K": 2000.0, "timestep_fs": 2.0, "thermostat": "none"}
    (outcome,) = run([pair], load("chgnet"), tmp_path, 200, **asked).values()
    assert outcome.status is Status.FAILED
    assert outcome.message.startswith("an atom left at step ")
    assert outcome.message.endswith(
        " ps): atom 0 (Li) has no neighbour within the potential's cutoff of 6 Å: "
        "take a lower temperature, a start that binds it better, or a potential that knows free atoms"
    )


def test_a_start_with_overlapping_atoms_is_not_run(emt, tmp_path):
    atoms = copper()
    atoms.positions[1] = atoms.positions[0] + [0.3, 0, 0]
    outcome = run([atoms], emt, tmp_path)[0]
    assert outcome.message == "the start geometry is unusable: atoms 0 (Cu) and 1 (Cu) overlap at 0.30 Å"


def test_a_lost_framework_stops_the_run(emt, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOST_A", 0.1)
    atoms = copper()
    atoms.symbols[0] = "Au"
    outcome = run([atoms], emt, tmp_path, 40, temperature_K=900.0, mobile="Au")[0]
    assert outcome.status is Status.FAILED
    assert "the framework is lost: every element of it is 0." in outcome.message


def test_another_run_in_the_folder_is_refused(emt, tmp_path):
    run([copper()], emt, tmp_path)
    with pytest.raises(ValueError, match=r"`temperature_K` is 400.0 but the run in .* has 300.0: give another folder"):
        run([copper()], emt, tmp_path, temperature_K=400.0)
    with pytest.raises(ValueError, match="holds a run that started from another structure"):
        run([copper(3.7)], emt, tmp_path)


def frozen():
    atoms = copper()
    atoms.set_constraint(FixAtoms(range(4)))
    return atoms


def bonded():
    atoms = copper()
    atoms.set_constraint(FixBondLengths([(0, 1)]))
    return atoms


@pytest.mark.parametrize(
    ("atoms", "parameters", "sentence"),
    [
        (copper(), {"temperature_K": 0.0}, "`temperature_K` is 0 but must be above 0"),
        (copper(), {"temperature_K": np.nan}, "`temperature_K` is nan but must be above 0 and finite"),
        (copper(), {"timestep_fs": np.nan}, "`timestep_fs` is nan but must be above 0"),
        (copper(), {"pressure_GPa": np.nan}, "`pressure_GPa` is nan but must be finite: leave it out to keep the cell"),
        (
            copper(),
            {"timestep_fs": 9.0},
            "`timestep_fs` is 9 but must be above 0 and at most 7.97 for Cu, the lightest atom: 2 is safe",
        ),
        (copper(), {"timestep_fs": -1.0}, "`timestep_fs` is -1 but must be above 0"),
        (copper(), {"steps": 21}, "`steps` is 21 but must be a multiple of 4, the steps between frames"),
        (copper(), {"steps": 0}, "`steps` is 0 but must be a multiple of 4"),
        (
            copper(),
            {"thermostat": "andersen"},
            "`thermostat` is 'andersen' but must be one of: none, bussi, nose-hoover, langevin",
        ),
        (copper(), {"mobile": "K"}, "`mobile` is 'K' but the structure holds Cu: choose one of these"),
        (copper(), {"pressure_GPa": 0.0, "thermostat": "none"}, "`pressure_GPa` is 0 but needs a thermostat"),
        (
            Atoms("Cu2", positions=[[0, 0, 0], [2.5, 0, 0]], cell=[9, 9, 9], pbc=[True, True, False]),
            {"pressure_GPa": 1.0},
            "`pressure_GPa` is 1 but needs a cell periodic in three directions and free atoms: leave it out",
        ),
        (copper(), {"steps": 4 * 10**15}, "MB free: make room, or run fewer steps"),
        (frozen(), {}, "all 4 atoms are fixed but at least one must be free: fix fewer"),
        (bonded(), {}, "the constraints are FixBondLengths but must be FixAtoms: remove the others"),
        (
            Atoms("Cu", cell=[9, 9, 9], pbc=True),
            {},
            r"the structure has 1 atom\(s\) but must have at least 2: repeat the cell",
        ),
        (salt(), {}, "are unknown to the potential 'emt'"),
    ],
)
def test_bad_input_is_refused_before_a_step(atoms, parameters, sentence, emt, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        run([atoms], emt, tmp_path, **parameters)
    assert not list(tmp_path.iterdir())


def test_the_timestep_follows_the_fastest_vibration():
    assert default_timestep_fs(salt()) == 2.0
    assert default_timestep_fs(graphene()) == 1.0
    assert default_timestep_fs(Atoms("CH4")) == 0.5


def test_a_thin_cell_is_a_warning():
    assert thin_cell(copper(3.6), 6.0).startswith("the cell is 3.6 Å thin, less than twice the potential's cutoff of 6 Å")
    assert thin_cell(copper(13.0), 6.0) == ""
    slab = Atoms("Cu", cell=[13, 13, 3], pbc=[True, True, False])
    assert thin_cell(slab, 6.0) == ""


def test_a_thin_cell_is_in_the_message(emt, tmp_path):
    assert "; the cell is 3.6 Å thin, less than twice the potential's cutoff" in run([copper()], emt, tmp_path)[0].message


def test_groups_that_turn_are_no_lost_framework(tmp_path):
    """Each S gone 4 Å with its Sb at rest, and then Sb gone as far too."""
    start = Atoms("KSbS", scaled_positions=[[0.5] * 3, [0, 0, 0], [0.25] * 3], cell=[20.0] * 3, pbc=True) * (2, 2, 2)
    about = {"timestep_fs": 2.0, "thermostat": "none", "temperature_K": 300.0, "pressure_GPa": None, "isotropic": True}
    opened = module._open(0, start, tmp_path / "0", about | {"mobile": "K", "seed": 0, "potential": {}})
    away = np.random.default_rng(1).normal(size=(len(start), 3))
    away *= 4.0 / np.linalg.norm(away, axis=1, keepdims=True)
    opened.atoms.positions[start.symbols == "S"] += away[start.symbols == "S"]
    assert module._trouble(opened) == ""
    opened.atoms.positions[start.symbols == "Sb"] += away[start.symbols == "Sb"]
    assert module._trouble(opened).startswith("the framework is lost: every element of it is 3.")
