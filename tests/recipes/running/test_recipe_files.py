import re

import pytest

from philic.recipes.running.recipe_files import packaged, read

GOOD = """\
recipe: adsorption
question: Does it work?
metal: K
dopants: [N, O-B]
hosts:
  - vacancy
"""


@pytest.fixture
def recipe(tmp_path):
    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return str(path)

    return write


def refusal(path, **overrides):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the sentence is compared by the caller
        read(path, overrides)
    return str(caught.value)


def test_every_packaged_recipe_is_valid_and_asks_a_question():
    assert packaged()["k-philic-dopants"] == "Which dopants and defects make carbon hold potassium?"
    for name in packaged():
        assert read(name).name == name


def test_a_file_of_ones_own_is_read(recipe):
    parameters = read(recipe(GOOD)).parameters
    assert parameters.metal == ("K",)
    assert parameters.names == ("pristine", "vacancy", "N", "O-B")


def test_yaml_1_2_keeps_nitrogen_oxide_and_others_text(recipe):
    parameters = read(recipe(GOOD.replace("[N, O-B]", "[N, O, N-O]"))).parameters
    assert parameters.dopants == ("N", "O", "N-O")


def test_overrides_replace_what_the_file_says(recipe):
    path = recipe(GOOD)
    assert read(path, {"metal": "Na"}).parameters.metal == ("Na",)
    assert read(path, {"metal": "Li,Na,K"}).parameters.metal == ("Li", "Na", "K")
    assert read(path, {"dopants": "P"}).parameters.dopants == ("P",)
    assert read(path, {"size": "[5, 6]"}).parameters.size == (5, 6)
    assert read(path, {"near_A": "all"}).parameters.near_A == "all"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            "dopant: N\n",
            "mine.yaml, line 7: `dopant` is not a key of this recipe; the keys are: metal, potential, max_atoms",
        ),
        ("size: [4]\n", "mine.yaml, line 7: `size` is [4]: field required"),
        ("size: [4, x]\n", "mine.yaml, line 7: `size` is 'x': input should be a valid integer"),
        ("adatoms: 0\n", "mine.yaml, line 7: `adatoms` is 0: input should be greater than 0"),
        ("potential: magic\n", "mine.yaml, line 7: 'magic' is not a known potential; choose one of chgnet"),
        ("sites: corner\n", "mine.yaml, line 7: `sites` names 'corner' but must be one or more of: top, bridge, hollow"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_line(recipe, wrong, sentence):
    assert refusal(recipe(GOOD + wrong)).startswith(sentence)


def test_a_wrong_item_of_a_list_is_named_with_its_line(recipe):
    sentence = refusal(recipe(GOOD.replace("- vacancy", "- vacancy\n  - hole")))
    assert sentence.startswith("mine.yaml, line 5: `hosts` is 'hole' but must be one of: pristine; vacancy;")
    assert sentence.endswith("; a face, such as Cu(111); a sheet of `philic structures list`; or a file")
    sentence = refusal(recipe(GOOD.replace("metal: K", "metal: Mg")))
    assert sentence == "mine.yaml, line 3: `metal` is 'Mg' but must be one of: Li, Na, K"


def test_every_mistake_is_told_at_once(recipe):
    sentences = refusal(recipe(GOOD + "adatoms: 0\nnear: 2\n")).splitlines()
    assert [sentence.split(":")[0] for sentence in sentences] == ["mine.yaml, line 7", "mine.yaml, line 8"]


def test_a_wrong_item_is_one_mistake_and_does_not_make_its_list_too_short():
    assert refusal("melt-quench", seeds="-1") == "--set seeds: `seeds` is -1: input should be greater than or equal to 0"
    assert "`seeds` is []" in refusal("melt-quench", seeds="[]")


def test_a_wrong_override_is_named_by_its_option(recipe):
    assert refusal(recipe(GOOD), metal="Xx") == "--set metal: `metal` is 'Xx' but must be one of: Li, Na, K"
    assert refusal(recipe(GOOD), colour="red").startswith("--set colour: `colour` is not a key of this recipe")


def test_what_is_no_recipe_file_is_refused(recipe):
    assert (
        refusal("nope") == f"`nope` is not a recipe file: give the path of a .yaml file or one of: {', '.join(packaged())}"
    )
    assert refusal(recipe("metal: [K\n")).startswith("mine.yaml, line ")
    assert "this is not YAML" in refusal(recipe("metal: [K\n"))
    assert refusal(recipe("- K\n")) == (
        "mine.yaml, line 1: a recipe file is a mapping of keys to values, such as `metal: K`"
    )
    assert (
        refusal(recipe("recipe: magic\n"))
        == "mine.yaml: `recipe` is 'magic' but must be one of: adsorption, migration, surface-diffusion, "
        "molecular-dynamics, melt-quench, verification, labels, metal-on-host"
    )
    assert (
        refusal(recipe("recipe: adsorption\n")) == "mine.yaml: `metal` is missing: the alkali metal, or several to compare"
    )


def test_what_is_no_value_or_no_text_is_refused_too(recipe, tmp_path):
    path = recipe(GOOD)
    assert refusal(path, size="[4") == "--set size: '[4' is not a value in YAML, such as 4, N, or [4, 4]"
    assert refusal(path, metal="K: Na: x").startswith("--set metal: 'K: Na: x' is not a value in YAML")
    assert refusal(path, potential="chgnt").startswith("--set potential: 'chgnt' is not a known potential")
    assert refusal(path, vacuum_A=".inf").startswith("--set vacuum_A: `vacuum_A` is inf: input should be a finite number")
    assert refusal(path, lattice_constant_A="10").startswith("--set lattice_constant_A: `lattice_constant_A` is 10: input")
    assert (
        refusal(recipe("recipe: [a]\n"))
        == "mine.yaml: `recipe` is ['a'] but must be one of: adsorption, migration, surface-diffusion, "
        "molecular-dynamics, melt-quench, verification, labels, metal-on-host"
    )
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    assert refusal(str(tmp_path / "binary.yaml")).startswith("binary.yaml: this is not YAML")


def test_one_host_written_twice_is_one_host(recipe):
    assert read(recipe(GOOD), {"dopants": "O-B,B-O"}).parameters.dopants == ("O-B",)
    assert read(recipe(GOOD), {"dopants": ""}).parameters.dopants == ()


@pytest.mark.parametrize("name", packaged())
def test_the_parameters_that_a_run_stores_are_those_it_was_asked_for(name):
    recipe = read(name)
    stored = recipe.parameters.model_dump(mode="json")
    assert recipe.kind.parameters.model_validate(stored) == recipe.parameters


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"length_ps": "0.1"}, "--set length_ps: `equilibration_ps` is 2 but must be at most half of `length_ps`, 0.05"),
        ({"length_ps": "1e20"}, "--set length_ps: `length_ps` is 1e+20: input should be less than or equal to 1000"),
        (
            {"timestep_fs": "1e-12"},
            "--set timestep_fs: `timestep_fs` is 1e-12: input should be greater than or",
        ),
        ({"temperatures_K": "[300, 1e30]"}, "--set temperatures_K: `temperatures_K` is 1e+30: input should be less than or"),
        (
            {"pressure_GPa": "1e9"},
            "--set pressure_GPa: `pressure_GPa` is 1000000000.0: input should be less than",
        ),
        ({"halogen": "Xx"}, "--set halogen: `halogen` is 'Xx': input should be 'F', 'Cl', 'Br' or 'I'"),
        (
            {"vacancies": "true"},
            "--set vacancies: `vacancies` is true but nothing of a recipe is true or false: give a value",
        ),
        ({"halogen": "x" * 10**6}, "--set halogen: `halogen` is 'xxx"),
    ],
)
def test_what_is_beyond_all_physics_is_refused(overrides, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refused:
        read("k3sbs4-cl", overrides)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("dopants: !foo N\n", "mine.yaml, line 7: `!foo` is a tag or a reference: write the value out"),
        ("dopants: !!python/name:os.system N\n", "mine.yaml, line 7: `!!python/name:os.system` is a tag or a reference"),
        ("dopants: &a [N, *a]\n", "mine.yaml, line 7: `&a` is a tag or a reference: write the value out"),
        (f"dopants: {'[' * 5000}{']' * 5000}\n", "mine.yaml, line 7: values are nested more than 8 deep"),
        (f"# {'x' * 10**6}\n", "mine.yaml: a recipe file has at most 1000000 bytes, this one 1000"),
    ],
    ids=["tag", "python", "reference", "depth", "size"],
)
def test_yaml_that_no_recipe_needs_is_refused(recipe, wrong, sentence):
    assert refusal(recipe(GOOD + wrong)).startswith(sentence)
