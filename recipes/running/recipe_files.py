"""Recipe files: find one, read it, and say which line is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.tokens import (
    AliasToken,
    AnchorToken,
    BlockEndToken,
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    TagToken,
)

from ...workflows.stores.store import Run
from ..adsorption import adsorption, ranking
from ..barriers import barriers, migration, surface_diffusion
from ..dynamics import conductivity, molecular_dynamics
from ..glasses import glasses, melt_quench
from ..labelling import labels
from ..parts.kinds import Kind, Parameters
from ..verification import verification
from ..wetting import islands, metal_on_host

FOLDER = Path(__file__).parents[1] / "files"
"""The recipe files that come with philic."""
LARGEST_BYTES, DEEPEST, LONGEST = 1_000_000, 8, 80
"""Size of a recipe file, depth of its values, and length at which a wrong value is cut in an error."""
_OPENING = BlockMappingStartToken | BlockSequenceStartToken | FlowMappingStartToken | FlowSequenceStartToken
_CLOSING = BlockEndToken | FlowMappingEndToken | FlowSequenceEndToken

RECIPES = {
    "adsorption": Kind(adsorption.Adsorption, adsorption.plan, ranking.headline, ranking.overview, ranking.tables),
    "migration": Kind(migration.Migration, migration.plan, barriers.headline, barriers.overview, barriers.tables),
    "surface-diffusion": Kind(
        surface_diffusion.SurfaceDiffusion,
        surface_diffusion.plan,
        barriers.headline,
        barriers.overview,
        barriers.tables,
    ),
    "molecular-dynamics": Kind(
        molecular_dynamics.MolecularDynamics,
        molecular_dynamics.plan,
        conductivity.headline,
        conductivity.overview,
        conductivity.tables,
    ),
    "melt-quench": Kind(melt_quench.MeltQuench, melt_quench.plan, glasses.headline, glasses.overview, glasses.tables),
    "verification": Kind(
        verification.Verification, verification.plan, verification.headline, verification.overview, verification.tables
    ),
    "labels": Kind(labels.Labels, labels.plan, labels.headline, labels.overview, labels.tables),
    "metal-on-host": Kind(metal_on_host.MetalOnHost, metal_on_host.plan, islands.headline, islands.overview, islands.tables),
}


@dataclass(frozen=True)
class RecipeFile:
    """A recipe with its parameters.

    Attributes
    ----------
    name
        The file's name without ``.yaml``.
    kind_name
        Which recipe it is, a name in `RECIPES`.
    question
        The scientific question in words.
    parameters
        Every parameter, validated.
    """

    name: str
    kind_name: str
    question: str
    parameters: Parameters

    @property
    def kind(self) -> Kind:
        """Which recipe it is."""
        return RECIPES[self.kind_name]


def packaged() -> dict[str, str]:
    """Return the recipe files that come with philic: name and question."""
    return {path.stem: str(_parse(path)["question"]) for path in sorted(FOLDER.glob("*.yaml"))}


def read(name: str, overrides: Mapping[str, str] | None = None) -> RecipeFile:
    """Read a recipe file.

    YAML 1.2 is read, in which ``NO`` and ``N`` are text.

    Parameters
    ----------
    name
        Name of a packaged recipe file, or the path of one.
    overrides
        Values in YAML by key (``{"metal": "Na", "size": "[5, 5]"}``); ``Na,K`` is short for ``[Na, K]``.

    Raises
    ------
    ValueError
        If there is no such file, it is no YAML, or a key or value is wrong: file, line, what is wrong and what is allowed.
    """
    path = _find(name)
    content = _parse(path)
    values = {key: value for key, value in content.items() if key not in ("recipe", "question")}
    values |= {key: as_value(key, value) for key, value in (overrides or {}).items()}
    recipe = content.get("recipe")
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise ValueError(f"{path.name}: `recipe` is {recipe!r} but must be one of: {', '.join(RECIPES)}")
    kind = RECIPES[recipe]
    try:
        parameters = kind.parameters.model_validate(values)
    except ValidationError as error:
        errors = error.errors()
        inside = {e["loc"][0] for e in errors if len(e["loc"]) > 1}  # of a list: pydantic calls what is left of it too short
        reported = [e for e in errors if e["type"] != "too_short" or e["loc"][0] not in inside]
        sentences = [_sentence(path.name, content, overrides or {}, dict(e), kind.parameters) for e in reported]
        raise ValueError("\n".join(sentences)) from error
    return RecipeFile(path.stem, recipe, str(content.get("question", "")), parameters)


def checks_itself(name: str) -> bool:
    """Tell whether a recipe takes other potentials to check itself with.

    Raises
    ------
    ValueError
        If it has no number that two potentials could agree on.
    """
    recipe = _parse(_find(name)).get("recipe")
    if recipe in ("labels", "verification"):
        raise ValueError(f"`cross_check` has nothing to compare in {name}: leave it out")
    return recipe not in RECIPES or "cross_check" in RECIPES[recipe].parameters.model_fields


def verifying(names: Sequence[str]) -> RecipeFile:
    """Make the recipe that compares potentials with reference numbers.

    Raises
    ------
    ValueError
        If a potential is unknown.
    """
    try:
        parameters = RECIPES["verification"].parameters.model_validate({"potential": names[0], "beside": list(names[1:])})
    except ValidationError as error:
        raise ValueError("; ".join(str(one.get("ctx", {}).get("error", one["msg"])) for one in error.errors())) from error
    return RecipeFile("verify", "verification", verification.QUESTION, parameters)


def recipe_of(run: Run) -> RecipeFile:
    """Make the recipe of a recorded run again.

    Raises
    ------
    ValueError
        If the run is of a philic that recorded too little.
    """
    if run.kind not in RECIPES:
        raise ValueError(f"run {run.id} was recorded by an older philic and cannot be planned again: run {run.recipe} again")
    parameters = RECIPES[run.kind].parameters.model_validate(run.parameters)
    return RecipeFile(run.recipe, run.kind, "", parameters)


def _find(name: str) -> Path:
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.yaml")))
        raise ValueError(f"`{name}` is not a recipe file: give the path of a .yaml file or one of: {known}")
    return path


def _parse(path: Path) -> Any:
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError(f"{path.name}: a recipe file has at most {LARGEST_BYTES} bytes, this one {path.stat().st_size}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        _refuse(text, f"{path.name}, line {{line}}")
        content = YAML().load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"{path.name}, line {line}: this is not YAML: {error.problem}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: this is not YAML: it is not UTF-8 text") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path.name}, line 1: a recipe file is a mapping of keys to values, such as `metal: K`")
    return content


def _refuse(text: str, place: str) -> None:
    """Refuse what no recipe needs: tags, which mean nothing here, references, which can blow up, and deep nesting."""
    depth = 0
    for token in YAML().scan(text):
        line = token.start_mark.line + 1
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if isinstance(token, TagToken | AnchorToken | AliasToken):
            written = text[token.start_mark.index : token.end_mark.index]
            raise ValueError(f"{place.format(line=line)}: `{written}` is a tag or a reference: write the value out")
        if depth > DEEPEST:
            raise ValueError(f"{place.format(line=line)}: values are nested more than {DEEPEST} deep")


def as_value(key: str, text: str) -> Any:
    """Read the value of ``--set KEY=TEXT``.

    Raises
    ------
    ValueError
        If it is no YAML.
    """
    try:
        _refuse(text, f"--set {key}")
        value = YAML(typ="safe").load(f"[{text}]" if "," in text and not text.startswith(("[", "{", "committee:")) else text)
    except YAMLError as error:
        raise ValueError(f"--set {key}: {text!r} is not a value in YAML, such as 4, N, or [4, 4]") from error
    return text if isinstance(value, Mapping) else value  # mace:medium reads as a mapping, and none is asked for


def _sentence(
    file: str, content: Any, overrides: Mapping[str, str], error: Mapping[str, Any], model: type[BaseModel]
) -> str:
    """Turn one of pydantic's errors into a sentence with its place."""
    key = str(error["loc"][0]) if error["loc"] else ""
    place = f"--set {key}" if key in overrides else f"{file}, line {_line(content, error['loc'])}"
    if not key:  # it is about several keys
        place = next((f"--set {name}" for name in overrides if f"`{name}`" in error["msg"]), file)
    if error["type"] == "extra_forbidden":
        return f"{place}: `{key}` is not a key of this recipe; the keys are: {', '.join(model.model_fields)}"
    if error["type"] == "missing" and len(error["loc"]) == 1:
        return f"{file}: `{key}` is missing: {model.model_fields[key].description}"
    if error["type"] == "value_error":
        return f"{place}: {_cut(str(error['ctx']['error']), 10 * LONGEST)}"
    return f"{place}: `{key}` is {_cut(repr(error['input']), LONGEST)}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _cut(text: str, n: int) -> str:
    return text if len(text) <= n else f"{text[:n]}…"


def _line(content: Any, location: Sequence[Any]) -> int:
    """Line of the innermost part of a location that the file has, counted from 1."""
    line = 1
    for part in location:
        try:
            position = content.lc.item(part) if isinstance(part, int) else content.lc.key(part)
            line, content = position[0] + 1, content[part]
        except (KeyError, AttributeError, TypeError, IndexError):
            break
    return line
