"""Recipe and Run: what is done to a network, and one training described completely."""

from regimen.run.recipe import Recipe
from regimen.run.recipe_file import read_recipe, recipe_from_dict, recipe_from_toml, recipe_to_dict, recipe_to_toml
from regimen.run.run import NUMERICS, Run

__all__ = [
    "NUMERICS",
    "Recipe",
    "Run",
    "read_recipe",
    "recipe_from_dict",
    "recipe_from_toml",
    "recipe_to_dict",
    "recipe_to_toml",
]
