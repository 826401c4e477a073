import csv
import json
import os
import stat
import subprocess
import sys
import textwrap

import ase.db
import ase.io
import numpy as np
import pyarrow.parquet
import pytest
from ase.build import bulk

from philic.workflows.engine.flow import Flow, Step
from philic.workflows.fireworks.here import run_here
from philic.workflows.stores import export
from philic.workflows.stores.export import select, write
from philic.workflows.stores.opening import open_store
from philic.workflows.stores.result import Result, Status
from philic.workflows.stores.rows import columns_of, flat


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Four relaxed crystals and one analysis without a structure."""
    store = open_store(tmp_path_factory.mktemp("store") / "philic.db")
    steps = []
    for element in ("Cu", "Ag", "Au", "Ni"):
        atoms = bulk(element, cubic=True)
        atoms.rattle(0.05, seed=1)
        steps.append(Step("relax", {}, atoms, potential="emt", about={"metal": element}))
    run_here(Flow(steps), store, "metals")
    store.add(Result(Status.CONVERGED, "fit", {"verdict": "fit"}, key="g", function="gate", about={"metal": "K"}))
    return store


def names(selection):
    return [result.about["metal"] for result in selection.results()]


def test_conditions_filter(store):
    assert names(select(store, "relax", ["metal=Cu"])) == ["Cu"]
    assert sorted(names(select(store, "relax", ["metal!=Cu"]))) == ["Ag", "Au", "Ni"]
    assert names(select(store, "relax", ["n_atoms = 5"])) == []
    for compare, found in {"<=": 4, ">=": 4, "=": 4, "<": 0, ">": 0, "!=": 0}.items():
        assert len(list(select(store, "relax", [f"n_atoms{compare}4"]).rows())) == found
    assert len(list(select(store, "relax", ["n_atoms>=4", "fmax_eV_per_A < 0.02"]).rows())) == 4
    assert names(select(store, "gate", ["verdict=fit"])) == ["K"]


def test_rows_are_sorted_either_way(store):
    energies = [result.scalars["energy_eV"] for result in select(store, "relax", sort="energy_eV").results()]
    assert energies == sorted(energies)
    assert names(select(store, "relax", sort="-metal")) == ["Ni", "Cu", "Au", "Ag"]


def test_a_wrong_column_or_condition_is_refused(store):
    with pytest.raises(ValueError, match=r"`colour` is no column of these results; the columns are: key, function"):
        select(store, "relax", ["colour=red"])
    with pytest.raises(ValueError, match=r"`metal` is no condition: give a column, one of <= >= != < > = and a value"):
        select(store, "relax", ["metal"])
    with pytest.raises(ValueError, match=r"`colour` is no column"):
        select(store, "relax", sort="-colour")


def test_csv_json_and_parquet_hold_every_row_and_column(store, tmp_path):
    results = select(store, "relax", sort="metal")
    for ending in (".csv", ".json", ".parquet"):
        write(results, tmp_path / f"out{ending}")
    with (tmp_path / "out.csv").open() as file:
        from_csv = list(csv.DictReader(file))
    from_json = json.loads((tmp_path / "out.json").read_text())
    from_parquet = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["metal"] for row in from_csv] == ["Ag", "Au", "Cu", "Ni"]
    assert from_json == [flat(result) for result in results.results()] == from_parquet == list(results.rows())
    assert list(from_csv[0]) == columns_of(results.rows())
    assert [float(row["energy_eV"]) for row in from_csv] == [row["energy_eV"] for row in from_json]


@pytest.mark.parametrize("ending", [".xyz", ".db"])
def test_structures_carry_energy_forces_and_row(store, tmp_path, ending):
    results = select(store, "relax", sort="metal")
    path = tmp_path / f"out{ending}"
    write(results, path)
    for result, atoms in zip(results.results(), ase.io.read(path, ":"), strict=True):
        final = result.structures["final"]
        np.testing.assert_allclose(atoms.positions, final.positions, atol=1e-7)
        np.testing.assert_allclose(atoms.cell.array, final.cell.array, atol=1e-7)
        assert atoms.get_potential_energy() == pytest.approx(result.scalars["energy_eV"], abs=1e-7)
        np.testing.assert_allclose(atoms.get_forces(), result.arrays["forces_eV_per_A"], atol=1e-7)


def test_the_ase_database_is_searched_by_what_the_rows_say(store, tmp_path):
    path = tmp_path / "out.db"
    write(select(store, "relax"), path)
    database = ase.db.connect(str(path))
    (row,) = database.select("metal=Cu,n_atoms=4")
    assert row.formula == "Cu4"
    assert row.data["potential"] == "emt"


def test_extended_xyz_keeps_the_row(store, tmp_path):
    path = tmp_path / "out.xyz"
    write(select(store, "relax", ["metal=Cu"]), path)
    atoms = ase.io.read(path)
    assert atoms.info["metal"] == "Cu"
    assert atoms.info["status"] == "converged"


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".xyz", ".db"])
def test_exports_have_the_mode_that_the_umask_says(store, tmp_path, ending):
    before = os.umask(0o007)
    try:
        write(select(store, "relax"), tmp_path / f"out{ending}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / f"out{ending}").stat().st_mode) == 0o660


def test_what_cannot_be_written_is_refused(store, tmp_path):
    results = select(store, "relax")
    with pytest.raises(ValueError, match=r"ends in '.doc' but must end in one of: .csv, .json, .parquet, .xyz, .db"):
        write(results, tmp_path / "out.doc")
    (tmp_path / "kept.csv").write_text("precious")
    with pytest.raises(ValueError, match="exists already: give another name, or remove it"):
        write(results, tmp_path / "kept.csv")
    assert (tmp_path / "kept.csv").read_text() == "precious"
    with pytest.raises(ValueError, match="is in a folder that does not exist: make it first"):
        write(results, tmp_path / "nowhere" / "out.csv")


@pytest.mark.parametrize("ending", ["csv", "json", "parquet", "xyz", "db"])
def test_a_disk_that_fills_up_leaves_nothing_half_written(store, tmp_path, ending):
    """A limit on the size of files stands for the disk."""
    code = f"""
        import resource, sys
        from pathlib import Path
        from philic.workflows.stores.export import select, write
        from philic.workflows.stores.opening import open_store
        found = select(open_store({store.address!r}, reading=True), "relax")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            write(found, Path("out.{ending}"))
        except ValueError as error:
            print(error)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.startswith(f"`out.{ending}` cannot be written: ")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_written_through(store, tmp_path):
    (tmp_path / "out.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(ValueError, match=r"out.csv` is a link or no file: give another name, or remove it"):
        write(select(store, "relax"), tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-@SUM(A1)", "@x", "\t=1"])
def test_a_spreadsheet_takes_no_text_for_a_formula_and_json_holds_no_nan(tmp_path, text):
    result = Result(Status.CONVERGED, text, {"energy_eV": -1.5, "spread_eV": float("nan")}, key="k", function="relax")
    store = open_store(tmp_path / "philic.db")
    store.add(result)
    write(select(store, "relax"), tmp_path / "out.csv")
    (row,) = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    assert (row["message"], row["energy_eV"], row["spread_eV"]) == (f"'{text}", "-1.5", "")
    write(select(store, "relax"), tmp_path / "out.json")
    (row,) = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    assert (row["message"], row["energy_eV"], row["spread_eV"]) == (text, -1.5, None)


def test_rows_of_different_columns_share_a_table(tmp_path, monkeypatch):
    """Row groups of two: a column that comes late, one that ends early, a whole number before a fraction."""
    monkeypatch.setattr(export, "_PART", 2)
    store = open_store(tmp_path / "philic.db")
    for number, scalars in enumerate([{"a": 1}, {}, {"b": "word", "a": None}, {"a": 1.5}, {"c": [1.0, 2.0]}]):
        store.add(Result(Status.CONVERGED, "", scalars, key=f"k{number}", function="relax"))
    for ending in (".parquet", ".csv"):
        assert write(select(store, "relax"), tmp_path / f"out{ending}") == 5
    rows = {row["key"]: row for row in pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()}
    assert [rows[f"k{number}"]["a"] for number in range(5)] == [1.0, None, None, 1.5, None]
    assert [rows[f"k{number}"]["b"] for number in range(5)] == [None, None, "word", None, None]
    assert rows["k4"]["c"] == [1.0, 2.0]
    with (tmp_path / "out.csv").open() as file:
        assert [row["b"] for row in csv.DictReader(file)] == ["", "", "word", "", ""]


def test_adsorption_energies_are_selected_by_their_calibrated_values(tmp_path):
    store = open_store(tmp_path / "philic.db")
    for key, raw in (("x", -0.3), ("y", -0.1), ("z", 0.2)):
        store.add(Result(Status.CONVERGED, "", {"vs_bulk_eV": raw}, key=key, function="adsorption", about={"metal": "K"}))
    for of, value in (("x", 0.4), ("y", -0.6)):
        origin = {"parents": {"adsorption": of}}
        scalars = {"calibrated_vs_bulk_eV": value}
        store.add(Result(Status.CONVERGED, "", scalars, key=f"c{of}", function="calibrated", provenance=origin))
    at_another = Result(Status.CONVERGED, "", {"vs_bulk_eV": -9.0}, key="g", function="adsorption", about={"geometry": "q"})
    store.add(at_another)

    def keys(*where, sort=""):
        return [row["key"] for row in select(store, "adsorption", where, sort).rows()]

    assert keys("calibrated_vs_bulk_eV<0", "metal=K") == ["y"]
    assert keys(sort="calibrated_vs_bulk_eV") == ["y", "x", "z"]
    assert keys("vs_bulk_eV<0") == ["x", "y"]
    assert keys("vs_bulk_eV<0", "geometry=q") == ["g"]
