"""Recipe, Run, the trained networks that are saved, and the writer of plain PyTorch."""

from regimen.run.code import plain_pytorch
from regimen.run.recipe import Recipe
from regimen.run.recipe_file import read_recipe, recipe_from_dict, recipe_from_toml, recipe_to_dict, recipe_to_toml
from regimen.run.run import NUMERICS, Run
from regimen.run.saved import SavedModel

__all__ = [
    "NUMERICS",
    "Recipe",
    "Run",
    "SavedModel",
    "plain_pytorch",
    "read_recipe",
    "recipe_from_dict",
    "recipe_from_toml",
    "recipe_to_dict",
    "recipe_to_toml",
]
