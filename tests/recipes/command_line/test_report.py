import io

import pytest
from rich.console import Console

from philic.recipes.adsorption.adsorption import Row
from philic.recipes.adsorption.ranking import ranking, side_by_side, worth
from philic.recipes.command_line.report import cost_line
from philic.workflows.stores.result import Result, Status


def site(host, energy_eV, metal="K", status=Status.CONVERGED, message="converged", **changes):
    scalars = {
        "vs_pristine_eV": energy_eV,
        "vs_bulk_eV": energy_eV + 0.1,
        "vs_atom_eV": None,
        "ended_at": "hollow C6",
        "height_A": 2.6,
        "nearest_A": 3.01,
        "nearest_element": "C",
        "shift_A": 0.1,
        "stayed": True,
        "host_kept_bonds": True,
        **changes,
    }
    result = Result(status, message, scalars, about={"metal": metal, "host": host, "site": "hollow C6"})
    column = "vs_bulk_eV" if scalars["vs_pristine_eV"] is None else "vs_pristine_eV"
    return Row(1 if status is Status.CONVERGED else None, metal, host, result, column)


def gate(verdict, sentence="why"):
    return Result(Status.CONVERGED, "", {"verdict": verdict, "sentence": sentence}, about={"potential": "chgnet"})


def printed(renderable):
    console = Console(width=130, file=io.StringIO())
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize("verdict", ["doubtful", "unfit"])
def test_a_potential_that_is_not_fit_gives_no_verdict(verdict):
    text = printed(ranking([site("N", -0.3)], "K", gate(verdict)))
    assert "verdict" not in text
    assert "phobic" not in text
    assert f"chgnet is {verdict} for K: why." in text


def test_a_fit_potential_tells_philic_from_phobic_by_the_bulk_metal():
    text = printed(ranking([site("N", -0.3), site("O", 0.2)], "K", gate("fit")))
    rows = {line.split()[1]: line.split()[-1] for line in text.splitlines() if " hollow " in line}
    assert rows == {"N": "philic", "O": "phobic"}


@pytest.mark.parametrize("verdict", ["fit", "doubtful"])
def test_a_ranking_against_the_pristine_host_is_a_first_screen(verdict):
    screen = "The ranking by `vs pristine` is a first screen, not evidence"
    assert screen in worth("K", gate(verdict))
    assert "cancel only in part between hosts. Confirm it with density functional theory (`--confirm ase:gpaw`)." in worth(
        "K", gate(verdict)
    )
    assert screen not in worth("K", gate(verdict), relative=False)
    assert screen not in worth("K", gate("unfit"))


def test_an_unfit_potential_is_warned_of():
    assert worth("K", gate("unfit")).endswith("Use none of these numbers.")


def test_what_went_wrong_is_told_under_the_table():
    rows = [
        site("N", -0.3, status=Status.UNCONVERGED, message="adsorbed: not converged: 0.3 eV/Å"),
        site("F", -0.2, host_kept_bonds=False, stayed=False, shift_A=1.44),
        Row(None, "K", "P", Result(Status.FAILED, "desorbed", {}, about={"site": "top P"})),
    ]
    text = printed(ranking(rows, "K", gate("doubtful")))
    assert "N: adsorbed: not converged: 0.3 eV/Å." in text
    assert "F: bonds of the host broke or formed under the metal" in text
    assert "P: desorbed." in text
    assert "no, 1.4 Å" in text
    assert "unconverged" in text
    assert "failed" in text


def test_metals_stand_side_by_side():
    rows = [site("N", -0.3, "K"), site("N", -0.5, "Na"), site("B", -0.2, "K")]
    lines = [line.split() for line in printed(side_by_side(rows, ["K", "Na"])).splitlines()]
    assert ["host", "K", "Na"] in lines
    assert ["N", "-0.300", "-0.500"] in lines
    assert ["B", "-0.200"] in lines


def test_the_cost_counts_what_was_computed_now():
    results = {
        "a": Result(Status.CONVERGED, "", force_calls=30),
        "b": Result(Status.CONVERGED, "", force_calls=12),
        "c": Result(Status.FAILED, "", force_calls=1),
    }
    words = cost_line(results, ["b", "c"], 61.4)
    assert words == "13 force calls, 2 steps computed in 61 s; of 3 steps 2 converged, 1 failed."


def test_hosts_without_a_pristine_form_are_compared_by_the_bulk_metal():
    slabs = [site("Cu(111)", -0.7, metal, vs_pristine_eV=None, vs_bulk_eV=-0.7) for metal in ("K", "Na")]
    assert "Compare like with like." in printed(ranking([site("N", -0.1), *slabs], "K", gate("doubtful")))
    assert "like with like" not in printed(ranking([site("N", -0.1)], "K", gate("doubtful")))
    assert "-0.700" in printed(side_by_side(slabs, ["K", "Na"]))
