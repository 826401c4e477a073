import numpy as np
import pytest

from philic.workflows.neb.band import along, profile, projected, springs, tangents


def band(seed=0, n_images=7):
    random = np.random.default_rng(seed)
    path_A = np.linspace(0, 3, n_images)[:, None, None] * np.ones((1, 4, 3)) + random.normal(
        scale=0.2, size=(n_images, 4, 3)
    )
    energies_eV = np.sin(np.linspace(0, np.pi, n_images)) + random.normal(scale=0.01, size=n_images)
    return path_A, energies_eV, random.normal(size=(n_images, 4, 3))


def test_a_tangent_points_to_the_higher_neighbour():
    path_A, energies_eV, _ = band()
    found = tangents(path_A, energies_eV)
    np.testing.assert_allclose(np.linalg.norm(found, axis=(1, 2)), 1)
    steps = np.diff(path_A, axis=0)
    steps /= np.linalg.norm(steps, axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found[1:3], steps[1:3])  # uphill
    np.testing.assert_allclose(found[4:6], steps[3:5])  # downhill
    assert 0 < (found[3] * steps[2]).sum() < 1
    assert 0 < (found[3] * steps[3]).sum() < 1


@pytest.mark.parametrize(("energies_eV", "expected"), [([0.0, 1.0, 0.4], [0.6, 1.0, 0]), ([0.4, 1.0, 0.0], [1.0, 0.6, 0])])
def test_at_an_extremum_the_step_towards_the_higher_neighbour_weighs_more(energies_eV, expected):
    """Equation 10 of Henkelman and Jónsson (2000): the larger difference in energy goes with the higher neighbour's side."""
    path_A = np.array([[[0.0, 0, 0]], [[1.0, 0, 0]], [[1.0, 1.0, 0]]])
    found = tangents(path_A, np.array(energies_eV))[1, 0]
    np.testing.assert_allclose(found, np.array(expected) / np.linalg.norm(expected))


def test_a_band_read_backwards_has_the_opposite_tangents():
    path_A, energies_eV, _ = band()
    back = tangents(path_A[::-1], energies_eV[::-1])[::-1]
    np.testing.assert_allclose(back, -tangents(path_A, energies_eV))


def test_projected_forces_leave_the_band_out_and_turn_the_climber_round():
    path_A, energies_eV, forces = band()
    directions = tangents(path_A, energies_eV)
    found = projected(forces, directions, climbing=3)
    expected = np.where(np.arange(7) == 3, -along(forces, directions), 0)
    np.testing.assert_allclose(along(found, directions), expected, atol=1e-12)


def test_springs_pull_towards_the_wider_gap_and_spare_the_climber():
    path_A = np.array([0.0, 1.0, 3.0, 4.0, 5.0])[:, None, None] * np.array([[1.0, 0, 0]])
    directions = tangents(path_A, np.arange(5.0))
    assert springs(path_A, directions, None)[:, 0, 0] == pytest.approx([0, 1, -1, 0, 0])
    assert springs(path_A, directions, 1)[:, 0, 0] == pytest.approx([0, 0, -1, 0, 0])


def test_a_profile_goes_through_each_image_with_its_slope():
    lengths, energies = profile([0, 1, 3], [0, 0.5, -0.2], [0, -0.3, 0.1], points=301)
    assert energies[[0, 100, 300]] == pytest.approx([0, 0.5, -0.2])
    assert np.gradient(energies, lengths)[[100, 299]] == pytest.approx([0.3, -0.1], abs=0.02)
