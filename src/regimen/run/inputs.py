"""Whether a recipe can be done to the inputs of a network: what is for images, and what needs numbers to add to."""

from regimen.data import Data, Images, Samples
from regimen.data.preparation import require_scaling
from regimen.errors import OptionError, RecipeError
from regimen.models import MLP, ConvNet, Model
from regimen.run.recipe import Recipe
from regimen.techniques import output_shape

# What adds to the inputs, mixes them or sets them to zero.
_OF_NUMBERS = ("input_noise", "mixup", "input_dropout")


def require_inputs(recipe: Recipe, data: Data) -> None:
    """Refuse a recipe that does something to the inputs that these inputs are not for.

    Raises:
        RecipeError: The recipe does something with images, and the data are none; or its augmentation changes their
            size; or it changes numbers, and the samples are whole numbers that stand for something.
        OptionError: Given numbers of `input_scaling` are not one for each column or channel.
    """
    if isinstance(data, Images):
        after = output_shape(recipe.augmentation, data.shape)
        if after != data.shape:
            raise RecipeError(
                f"augmentation: expected images as large as before, {_size(data.shape)}, as those of the test are "
                f"not transformed; got {_size(after)}; end with a Resize or crop of that size"
            )
    else:
        kind = "samples" if isinstance(data, Samples) else "a table"
        for name in ("augmentation", "cutmix"):
            if getattr(recipe, name):
                raise RecipeError(f"{name}: needs images, and {data.name} is {kind}; leave it out")
    if isinstance(data, Samples):
        for name in _OF_NUMBERS:
            if data.whole and getattr(recipe, name):
                raise RecipeError(
                    f"{name}: needs numbers, and the samples of {data.name} are whole numbers (int64) that stand for "
                    "something; leave it out, or give floats"
                )
    elif isinstance(recipe.input_scaling, tuple):
        require_scaling(recipe.input_scaling, data.shape[0] if isinstance(data, Images) else data.numbers.shape[1])


def require_model(model: Model, data: Data) -> None:
    """Refuse a described network for samples of whole numbers: none has an embedding.

    Raises:
        OptionError: It is one, and the data are such samples.
    """
    if isinstance(data, Samples) and data.whole and isinstance(model, MLP | ConvNet):
        raise OptionError(
            f"model: {model.name} has no embedding, and the samples of {data.name} are whole numbers (int64); take a "
            "module of your own, or give floats"
        )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[1:]))
