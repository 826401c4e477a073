"""Calculators of ASE by a settings file: in this process, in a worker, and in files."""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene

from philic import potentials
from philic.potentials.external import worker
from philic.potentials.external.potential import _task
from philic.potentials.external.processes import Worker
from philic.potentials.external.settings_files import FOLDER, read
from philic.workflows.engine.flow import Step
from philic.workflows.stores.opening import open_store

EMT = "factory: ase.calculators.emt:EMT\nelements: [Cu, Al]\nfunctional: none\ncutoff_A: 5.7\n"
"""EMT as a model."""
SLOW = EMT + "calculation: dft\n"
"""EMT as if it were density functional theory: a new calculator in a worker and a folder of its own for each structure."""
TESTS = Path(__file__).parent


def metals():
    atoms = bulk("Cu", a=3.7, cubic=True)
    atoms.symbols[0] = "Al"
    atoms.rattle(0.1, seed=2)
    return atoms


@pytest.fixture
def settings(tmp_path):
    def write(text, name="emt"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return f"ase:{path}"

    return write


@pytest.mark.parametrize("text", [EMT, EMT + "environment: {A: b}\n", SLOW], ids=["here", "worker", "worker, in folders"])
def test_it_equals_the_built_in_potential_bit_for_bit(settings, text):
    ours, built_in = (potentials.load(name).evaluate([metals()], stress=True)[0] for name in (settings(text), "emt"))
    assert ours.energy_eV == built_in.energy_eV
    np.testing.assert_array_equal(ours.forces_eV_per_A, built_in.forces_eV_per_A)
    np.testing.assert_array_equal(ours.stress_eV_per_A3, built_in.stress_eV_per_A3)


def test_what_is_open_along_a_vector_is_closed_for_calculators_that_know_crystals_only(settings):
    text = EMT.replace("ase.calculators.emt:EMT", "file_calculator:Crystals").replace("5.7", "12") + "packages: [ase]\n"
    text += f"environment: {{PYTHONPATH: '{TESTS}'}}\n"
    slab = fcc111("Cu", (2, 2, 2), a=3.7, vacuum=1.0)
    slab.rattle(0.1, seed=3)
    tilted = slab.copy()
    tilted.cell[2] += (1.0, 0.7, 0.0)
    wire, cluster = slab.copy(), Atoms("Cu3", [(0, 0, 0), (2.4, 0, 0), (0, 2.5, 0.1)])
    wire.pbc = (False, True, False)
    structures = [slab, tilted, wire, cluster]
    ours, built_in = (potentials.load(name).evaluate(structures, stress=True) for name in (settings(text), "emt"))
    for one, other in zip(ours, built_in, strict=True):
        assert one.energy_eV == pytest.approx(other.energy_eV, abs=1e-9)
        np.testing.assert_allclose(one.forces_eV_per_A, other.forces_eV_per_A, atol=1e-9)
    for one, other in zip(ours[:3], built_in[:3], strict=True):
        np.testing.assert_allclose(one.stress_eV_per_A3, other.stress_eV_per_A3, atol=1e-9)


def test_a_calculator_that_works_in_files_runs_in_a_folder_that_is_gone_afterwards(settings, tmp_path):
    (tmp_path / "seen").mkdir()
    text = SLOW.replace("ase.calculators.emt:EMT", "file_calculator:FileEMT")
    text += f"packages: [ase]\nenvironment: {{PYTHONPATH: '{TESTS}', SEEN: FOLDER/seen}}\n"
    prediction = potentials.load(settings(text)).evaluate([metals()])[0]
    assert prediction.energy_eV == pytest.approx(
        potentials.load("emt").evaluate([metals()])[0].energy_eV, abs=1e-6
    )  # the file rounds positions
    (seen,) = (tmp_path / "seen").iterdir()
    assert not Path(seen.read_text()).exists()


def test_a_failure_keeps_the_folder_and_shows_the_end_of_its_output(settings):
    text = SLOW.replace("ase.calculators.emt:EMT", "file_calculator:Failing") + "packages: [ase]\n"
    text += f"environment: {{PYTHONPATH: '{TESTS}'}}\n"
    potential = potentials.load(settings(text))
    with pytest.raises(
        RuntimeError, match=r"CalculationFailed: .*its files are in (\S+), where out.txt ends: .*no licence left"
    ) as e:
        potential.evaluate([metals()])
    folder = Path(str(e.value).split("its files are in ")[1].split(",")[0])
    assert (folder / "out.txt").exists()
    shutil.rmtree(folder)


def test_electrons_that_do_not_converge_fail_one_structure_and_not_the_list(settings):
    text = SLOW.replace("ase.calculators.emt:EMT", "file_calculator:Unconverged") + "packages: [ase]\n"
    text += f"environment: {{PYTHONPATH: '{TESTS}'}}\n"
    copper = bulk("Cu", cubic=True)
    bad, good = potentials.load(settings(text)).evaluate([metals(), copper])
    assert bad.reason.startswith("SCFError: not converged after 150 iterations; its files are in ")
    assert np.isnan(bad.energy_eV)
    assert good.energy_eV == potentials.load("emt").evaluate([copper])[0].energy_eV


def test_a_worker_that_dies_is_an_error_with_its_last_lines_and_the_next_call_starts_another():
    process = Worker(sys.executable, {})
    dying = {"factory": "os:_exit", "arguments": {"status": 3}}
    task = _task(read(FOLDER / "gpaw.yaml"), metals(), stress=False)
    with pytest.raises(RuntimeError, match=r"^the worker of .* ended with status 3: it printed nothing$"):
        process.evaluate(task | {"calculator": dying})
    answer = process.evaluate(task | {"calculator": {"factory": "ase.calculators.emt:EMT", "arguments": {}}})
    assert answer["energy"] == potentials.load("emt").evaluate([metals()])[0].energy_eV
    process.close()


def test_a_worker_outlives_the_folder_it_was_started_in(settings, tmp_path, monkeypatch):
    folder = tmp_path / "launch"
    folder.mkdir()
    monkeypatch.chdir(folder)
    potential = potentials.load(settings(EMT + "environment: {OUTLIVES: folder}\n"))
    before = potential.evaluate([metals()])[0].energy_eV
    monkeypatch.chdir(tmp_path)
    folder.rmdir()
    assert potential.evaluate([metals()])[0].energy_eV == before


def test_a_worker_ends_with_the_process_that_asked(settings):
    name = settings(SLOW)
    code = (
        "import sys, time; from philic import potentials; from ase.build import bulk;"
        f"from philic.potentials.external import potential as p; q = potentials.load({name!r});"
        "q.evaluate([bulk('Cu')]); w = p._worker.__wrapped__;"
        "import gc; from philic.potentials.external.processes import Worker;"
        "print([o._process.pid for o in gc.get_objects() if isinstance(o, Worker)][0], flush=True); time.sleep(60)"
    )
    asking = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(asking.stdout.readline())
    os.kill(pid, 0)
    asking.send_signal(signal.SIGKILL)
    asking.wait()
    asking.stdout.close()
    for _ in range(100):
        time.sleep(0.1)
        if not _alive(pid):
            return
    pytest.fail("the worker lives on")


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_relaxation_goes_on_where_it_was(settings, tmp_path):
    """Each prediction of a slow potential is kept as it comes."""
    text = SLOW.replace("ase.calculators.emt:EMT", "file_calculator:Sleepy") + "packages: [ase]\n"
    name = settings(text + f"environment: {{PYTHONPATH: '{TESTS}'}}\n")
    store = tmp_path / "philic.db"
    code = (
        "from philic.workflows.fireworks.here import run_here; from philic.workflows.engine.flow import Flow, Step;"
        "from philic.workflows.stores.opening import open_store; from ase.build import bulk;"
        "a = bulk('Cu', cubic=True); a.rattle(0.1, seed=1);"
        f"s = Step('relax', {{'relax_cell': True, 'fmax_eV_per_A': 0.01}}, a, potential={name!r});"
        f"store = open_store({str(store)!r}); run_here(Flow([s]), store, 'x'); r = store.get([s.key])[s.key];"
        "print(r.status, r.force_calls, r.scalars['energy_eV'])"
    )
    whole = subprocess.check_output([sys.executable, "-c", code.replace("philic.db", "other.db")], text=True).split()
    killed = subprocess.Popen([sys.executable, "-c", code])
    while not (store.exists() and _n_predictions(store) >= 3):
        time.sleep(0.05)
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    kept = _n_predictions(store)
    resumed = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert resumed[0] == whole[0] == "converged"
    assert int(resumed[1]) == int(whole[1]) - kept
    assert resumed[2] == whole[2]


def _n_predictions(path):
    import sqlite3

    with sqlite3.connect(path) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions'").fetchone():
            return 0
        return connection.execute("SELECT count(*) FROM predictions").fetchone()[0]


def test_cheap_potentials_keep_no_predictions(tmp_path):
    from philic.workflows.engine.flow import Flow
    from philic.workflows.fireworks.here import run_here

    run_here(Flow([Step("relax", {}, metals(), potential="emt")]), open_store(tmp_path / "philic.db"), "x")
    assert _n_predictions(tmp_path / "philic.db") == 0


def test_the_fingerprint_follows_what_decides_the_numbers(settings, tmp_path):
    (tmp_path / "weights").write_text("1")
    text = EMT + "files: [weights]\n"
    name = settings(text)
    first = potentials.fingerprint(name)
    assert first.name == "ase:emt"
    assert first.version == f"ase {version('ase')}"
    assert first.dtype == "float64"
    assert first.canary.split()[0] == f"{worker.evaluate(_canary_task(name))['energy']:.3f}"
    moved = potentials.fingerprint(settings(text, "moved"))
    assert {**moved.asdict(), "name": ""} == {**first.asdict(), "name": ""}
    (tmp_path / "weights").write_text("2")
    assert potentials.fingerprint(settings(text, "heavier")).weights_sha256 != first.weights_sha256
    other = potentials.fingerprint(settings(text + "arguments: {asap_cutoff: true}\n", "other"))
    assert other.settings != first.settings
    assert other.canary != first.canary


def _canary_task(name):
    from philic.potentials.external.potential import _canary_atoms, _settings

    given = _settings(name)[1]
    return _task(given, _canary_atoms(given), stress=False)


def test_weights_named_in_the_arguments_count_too(settings, tmp_path):
    weights = tmp_path / "weights.pt"
    weights.write_text("one")
    name = settings(EMT + "arguments: {asap_cutoff: false, label: FOLDER/weights.pt}\n")
    before = potentials.fingerprint(name).weights_sha256
    weights.write_text("two")
    Path(name.removeprefix("ase:")).write_text(EMT + "arguments: {asap_cutoff: false, label: FOLDER/weights.pt}\n#\n")
    assert potentials.fingerprint(name).weights_sha256 != before


def test_settings_extend_those_beside_them(settings, monkeypatch):
    settings(EMT, "first")
    monkeypatch.chdir("/")
    assert potentials.card(settings("extends: first.yaml\ncutoff_A: 5.0\n", "second")).cutoff_A == 5.0


def test_float32_cannot_be_declared_float64(settings):
    text = EMT.replace("ase.calculators.emt:EMT", "file_calculator:Single") + "packages: [ase]\n"
    text += f"environment: {{PYTHONPATH: '{TESTS}'}}\n"
    assert potentials.fingerprint(settings(text)).dtype == "float32"


ERRORS = {
    "functional: PBE": r"`factory`: Field required",
    "factory: a\nfunctional: PBE": r"`factory`: String should match pattern",
    EMT + "kpoints: 4": r"`kpoints` is no key of settings; the keys are: factory, arguments, .*",
    EMT + "files: [nowhere]": r"`files` names .*nowhere, which does not exist",
    EMT + "arguments: {kpts: [4, 4, 1]}": r"`kpts` is \[4, 4, 1\] but a fixed grid has another accuracy in each cell",
    EMT + "sheet: {arguments: {kpts: [4, 4, 1]}}": r"`kpts` is \[4, 4, 1\] but a fixed grid has another accuracy",
    EMT + "spin_arguments: {input: {kpts: {size: [2, 2, 2]}}}": r"`kpts` is \{'size': \[2, 2, 2\]\} but a fixed grid",
    EMT + "sheet: {k_spacing_per_A: 0.2}": r"give `k_spacing_per_A` for `sheet` and `crystal`",
    EMT + "files: 5": r"`files` is 5 but must be a list of paths",
    "extends: wrong.yaml": r"`extends` leads back to this file",
    EMT + "arguments: {kpts: KPTS}": r"give `k_spacing_per_A` for `sheet` and `crystal`, and write KPTS.*both, or neither",
    EMT + "cutoff_A: -1": r"is no YAML file: .*duplicate key",
    "[1, 2]": r"it must hold keys and values, such as `factory: gpaw:GPAW`",
    "extends: gpow": r"gpow` is no settings file and none that comes with philic: cp2k, espresso, gpaw, vasp",
}


@pytest.mark.parametrize(("text", "sentence"), ERRORS.items())
def test_wrong_settings_are_refused_with_a_sentence(settings, text, sentence):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        potentials.resolve(settings(text, "wrong"))


def test_a_missing_package_and_a_missing_interpreter_are_refused(settings):
    with pytest.raises(
        ModuleNotFoundError, match=r"^nonsense is not installed in the environment of .*: install it there, or"
    ):
        potentials.fingerprint(settings(EMT + "packages: [nonsense]\n", "a"))
    with pytest.raises(ModuleNotFoundError, match=r"^`python` is '/nowhere/python' but cannot be run: No such file"):
        potentials.fingerprint(settings(EMT + "python: /nowhere/python\n", "b"))
    with pytest.raises(ModuleNotFoundError, match=r"^`python` is '/bin/false' but is no working interpreter"):
        potentials.fingerprint(settings(EMT + "python: /bin/false\n", "d"))
    for name, sentence in (
        ("Nothing", "gives no finite energy and forces of a small crystal"),
        ("Leaving", "fails on a small"),
    ):
        text = EMT.replace("ase.calculators.emt:EMT", f"file_calculator:{name}") + "packages: [ase]\n"
        with pytest.raises(ValueError, match=f"^file_calculator:{name} {sentence}"):
            potentials.fingerprint(settings(text + f"environment: {{PYTHONPATH: '{TESTS}'}}\n", name))
    with pytest.raises(ValueError, match=r"^ase.calculators.emt:TME fails on a small crystal: AttributeError: .*TME"):
        potentials.fingerprint(settings(EMT.replace("emt:EMT", "emt:TME"), "c"))


def on_sheet():
    sheet = graphene(a=2.468, size=(4, 4, 1), vacuum=7.5)
    sheet.pbc = True
    return sheet


@pytest.mark.parametrize("name", ["gpaw", "vasp", "espresso", "cp2k"])
def test_shipped_settings_space_k_points_and_know_sheets(name):
    settings = read(FOLDER / f"{name}.yaml")
    sheet, crystal = (_task(settings, atoms, stress=False) for atoms in (on_sheet(), bulk("K", "bcc", a=5.236, cubic=True)))
    grids = {"gpaw": lambda a: a["kpts"]["size"], "cp2k": lambda a: [int(n) for n in a["inp"].split("PACK ")[1].split()[:3]]}
    of = grids.get(name, lambda a: a["kpts"])
    assert of(sheet["calculator"]["arguments"]) == [4, 4, 1]
    assert of(crystal["calculator"]["arguments"]) == [8, 8, 8]
    assert sheet["atoms"]["pbc"] == [True, True, False]
    assert crystal["atoms"]["pbc"] == [True] * 3
    assert sheet["folder"]
    assert sheet["calculator"]["arguments"] != crystal["calculator"]["arguments"] or name == "cp2k"


@pytest.mark.filterwarnings("ignore:Loaded VASP_PP_PATH from environment")
def test_vasp_input_has_the_dipole_correction_spin_and_mesh(tmp_path, monkeypatch):
    from ase.calculators.vasp import Vasp

    for element in ("C", "Fe"):
        (tmp_path / "potpaw_PBE" / element).mkdir(parents=True)
        (tmp_path / "potpaw_PBE" / element / "POTCAR").write_text("ENMAX = 400.0; ZVAL = 4.0")
    monkeypatch.setenv("VASP_PP_PATH", str(tmp_path))
    sheet = on_sheet()
    sheet.symbols[0] = "Fe"
    task = _task(read(FOLDER / "vasp.yaml"), sheet, stress=False)
    sheet.set_initial_magnetic_moments(task["atoms"]["magnetic_moments"])
    made = Vasp(directory=str(tmp_path), **task["calculator"]["arguments"])
    made.initialize(sheet)
    made.write_incar(sheet, directory=str(tmp_path))
    made.write_kpoints(atoms=sheet, directory=str(tmp_path))
    incar = {
        k.strip(): v.strip()
        for k, v in (line.split("=") for line in (tmp_path / "INCAR").read_text().splitlines() if "=" in line)
    }
    assert incar["LDIPOL"] == ".TRUE."
    assert (incar["IDIPOL"], incar["ISPIN"], incar["ISMEAR"], float(incar["SIGMA"])) == ("3", "2", "0", 0.1)
    assert "2.5" in incar["MAGMOM"]
    assert (tmp_path / "KPOINTS").read_text().splitlines()[2:4] == ["Gamma", "4 4 1"]


def test_espresso_input_has_the_dipole_correction_smearing_and_mesh(tmp_path):
    from ase.io import write

    arguments = _task(read(FOLDER / "espresso.yaml"), on_sheet(), stress=False)["calculator"]["arguments"]
    path = tmp_path / "pw.in"
    write(path, on_sheet(), format="espresso-in", pseudopotentials={"C": "C.upf"}, **arguments)
    text = " ".join(path.read_text().split())
    for words in ("tefield = .true.", "dipfield = .true.", "edir = 3", "smearing = 'fermi-dirac'", "4 4 1 0 0 0"):
        assert words in text


def test_carbon_that_lacks_a_bond_is_polarised():
    settings = read(FOLDER / "gpaw.yaml")
    sheet = graphene(size=(4, 4, 1), vacuum=6.0)
    sheet.pbc = True
    assert _task(settings, sheet, stress=False)["atoms"]["magnetic_moments"] is None
    del sheet[0]
    sheet += Atoms("K", positions=[sheet.positions[0] + (0.3, 0.2, 2.4)])
    moments = _task(settings, sheet, stress=False)["atoms"]["magnetic_moments"]
    assert sorted(moments) == [0.0] * (len(sheet) - 3) + [0.8] * 3
    assert moments[-1] == 0.0
    sheet.symbols[np.array(moments) > 0] = "N"
    assert _task(settings, sheet, stress=False)["atoms"]["magnetic_moments"] is None


def test_elements_with_moments_are_polarised_and_a_structures_own_moments_win():
    settings = read(FOLDER / "vasp.yaml")
    iron = bulk("Fe", cubic=True)
    iron.set_initial_magnetic_moments(None)  # ASE gives iron 2.3
    assert _task(settings, iron, stress=False)["atoms"]["magnetic_moments"] == [2.5, 2.5]
    iron.set_initial_magnetic_moments([1.0, -1.0])
    assert _task(settings, iron, stress=False)["atoms"]["magnetic_moments"] == [1.0, -1.0]
    assert _task(settings, bulk("K"), stress=False)["atoms"]["magnetic_moments"] is None
    assert "ispin" not in _task(settings, bulk("K"), stress=False)["calculator"]["arguments"]


def test_another_package_offers_a_kind(tmp_path):
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[philic.potentials]\nother = other_potential:KIND\n")
    shutil.copy(TESTS / "other_potential.py", tmp_path)
    code = (
        "from philic import potentials; from ase.build import bulk;"
        "print(dict(potentials.known())['springs'],"
        "potentials.load('springs').evaluate([bulk('Cu', cubic=True)])[0].energy_eV)"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.check_output([sys.executable, "-c", code], text=True, env={**os.environ, "PYTHONPATH": path})
    words, energy_eV = done.rsplit(maxsplit=1)
    assert words == "EMT under another name"
    assert float(energy_eV) == potentials.load("emt").evaluate([bulk("Cu", cubic=True)])[0].energy_eV


@pytest.mark.skipif(
    not os.environ.get("PHILIC_GPAW_PYTHON"), reason="set PHILIC_GPAW_PYTHON to an interpreter that has GPAW"
)
def test_gpaw_gives_the_lattice_energy_of_potassium_fluoride(settings):
    """Energies of KF at 5.42 Å and 1 % to each side: PBE's minimum lies between (a = 5.42 Å, B = 29.1 GPa)."""
    name = settings(f"extends: gpaw\npython: {os.environ['PHILIC_GPAW_PYTHON']}\n", "gpaw")
    energies = [
        p.energy_eV for p in potentials.load(name).evaluate([bulk("KF", "rocksalt", a=5.42 * s) for s in (0.99, 1, 1.01)])
    ]
    assert energies[1] == min(energies)
    volume_A3 = 5.42**3 / 4
    bulk_modulus_GPa = (energies[0] + energies[2] - 2 * energies[1]) / 0.03**2 / volume_A3 * 160.2
    assert bulk_modulus_GPa == pytest.approx(29.1, rel=0.1)


def test_of_several_slow_calculations_each_is_kept_as_it_ends(settings):
    """A list of single points that is killed loses the one that was running."""
    from philic.workflows.steps.single_point import single_point

    potential, asked = potentials.load(settings(SLOW)), []
    crystals = [bulk("Cu", a=a) for a in (3.5, 3.6, 3.7)]
    for index, _ in single_point(crystals, potential, watch=asked.append):
        assert asked == list(range(index + 1))
