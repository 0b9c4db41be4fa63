"""A recipe as plain PyTorch: the short script that trains it without regimen."""

from regimen.data import Data
from regimen.models import Inputs, Model
from regimen.records import Task
from regimen.run.code_images import augmentation_lines, cutmix_lines
from regimen.run.code_setup import Setup
from regimen.run.code_text import literal
from regimen.run.code_weights import weighted_stop_loss
from regimen.run.recipe import Recipe
from regimen.techniques import EMA, SWA, OneCycleLR


def plain_pytorch(
    recipe: Recipe, model: Model, *, inputs: Inputs, outputs: int, task: Task, data: Data | None = None
) -> str:
    """Return a script in plain PyTorch that trains the recipe on tensors `x_train` and `y_train`.

    The script needs torch alone, holds only the lines that the recipe needs, and leaves the trained network, in eval
    mode, in `model`. It trains as the reference engine does; given the same random numbers it gives the same network.

    Args:
        recipe: What to train with.
        model: The network; the script's `state_dict` has the names and shapes of `regimen.models.build`. A module of
            the user's own is imported; what the recipe puts into it stands in comments, to be written into its source.
        inputs: Columns of `x_train`, >= 1, or channels, height and width of its images.
        outputs: Classes, or 1 for regression.
        task: Chooses cross-entropy or the mean squared error.
        data: What was trained on: samples are fed as they are, groups or times divide off the stop part too, and rows
            with weights have theirs in `w_train`.

    Returns:
        Python source.

    Raises:
        OptionError: The recipe does not fit the model.

    Example:
        >>> from regimen.models import MLP
        >>> code = plain_pytorch(Recipe(), MLP(hidden=(8,)), inputs=4, outputs=3, task="classification")
        >>> print(code.splitlines()[-1])
        model.eval()

    Note:
        What a script cannot do in a few lines (random resized crops, erasing, shearing) is named in a comment.
        The stop part of early stopping is drawn without regard to classes; the engines stratify it.
    """
    setup = Setup(recipe, model, inputs=inputs, outputs=outputs, task=task, data=data)
    lines = [*setup.lines(), *_loop(setup), *_end(setup)]
    return "\n".join(lines) + "\n"


def _loop(setup: Setup) -> list[str]:
    recipe = setup.recipe
    epoch = ["model.train()"] if recipe.early_stopping and not recipe.averaging else []
    shuffled = "torch.randperm(len(x_train)).tensor_split(cuts)"
    if _reestimate(setup):
        epoch.append(f"batches = {shuffled}")
        shuffled = "batches"
    epoch.append(f"for rows in {shuffled}:")
    epoch += _indented([*_loss(setup), *_update(setup)])
    if recipe.schedule is not None and not isinstance(recipe.schedule, OneCycleLR):
        epoch.append("scheduler.step()")
    epoch += [*_swa(recipe), *_stopping(setup)]
    best = ['best_loss, best_epoch = float("inf"), 0'] if recipe.early_stopping else []
    return [*best, f"for epoch in range({recipe.epochs}):", *_indented(epoch)]


def _loss(setup: Setup) -> list[str]:
    recipe, column = setup.recipe, _column(setup)
    targets = "y_train[rows]" if setup.weights is None else "y_train[rows], w_train[rows]"
    # What is done to the batch before the network sees it.
    changed = augmentation_lines(recipe.augmentation, setup.shape) if recipe.augmentation else []
    noise = [f"x = x + {literal(recipe.input_noise)} * torch.randn_like(x)"] if recipe.input_noise else []
    if recipe.mixup or recipe.cutmix:
        alpha = literal(recipe.mixup)
        mixed = (
            cutmix_lines(recipe.cutmix)
            if recipe.cutmix
            else [
                f"lam = torch.distributions.Beta({alpha}, {alpha}).sample()",
                "x = lam * x + (1 - lam) * x[partners]",
            ]
        )
        weighted = setup.weights is not None
        lines = [
            "x, y, partners = x_train[rows], y_train[rows], torch.randperm(len(rows))",
            *(["w = w_train[rows]"] if weighted else []),
            *changed,
            *mixed,
            *noise,
            f"output = model(x){column}",
            "loss = lam * criterion(output, y, w) + (1 - lam) * criterion(output, y[partners], w[partners])"
            if weighted
            else "loss = lam * criterion(output, y) + (1 - lam) * criterion(output, y[partners])",
        ]
    elif changed or noise:
        lines = ["x = x_train[rows]", *changed, *noise, f"loss = criterion(model(x){column}, {targets})"]
    else:
        lines = [f"loss = criterion(model(x_train[rows]){column}, {targets})"]
    if recipe.l1 and recipe.l1_step == "subgradient":
        # The gradient of abs at 0 is 0 in PyTorch, which makes this the subgradient step exactly.
        lines.append(f"loss = loss + {literal(recipe.l1)} * sum(weight.abs().sum() for weight in weights)")
    return lines


def _update(setup: Setup) -> list[str]:
    recipe, lines = setup.recipe, ["optimizer.zero_grad()", "loss.backward()"]
    if recipe.clip_norm is not None:
        lines.append(f"nn.utils.clip_grad_norm_(model.parameters(), {literal(recipe.clip_norm)})")
    proximal = recipe.l1 > 0 and recipe.l1_step == "proximal"
    lr = literal(recipe.lr)
    if recipe.schedule is not None and (setup.own_decay or proximal):
        lr = "lr"
        lines.append("lr = scheduler.get_last_lr()[0]")
    if setup.own_decay:
        decaying = "model.parameters()" if recipe.decay_bias_and_norm else "weights"
        lines += _in_place([f"weight.mul_(1 - {lr} * {literal(setup.own_decay)})"], decaying)
    lines.append("optimizer.step()")
    after = [f"weight.copy_(nn.functional.softshrink(weight, {lr} * {literal(recipe.l1)}))"] if proximal else []
    after += [f"weight.renorm_(2, 0, {literal(recipe.max_norm)})"] if recipe.max_norm is not None else []
    lines += _in_place(after, "weights")
    lines += ["scheduler.step()"] if isinstance(recipe.schedule, OneCycleLR) else []
    lines += ["averaged.update_parameters(model)"] if isinstance(recipe.averaging, EMA) else []
    return lines


def _in_place(changes: list[str], weights: str) -> list[str]:
    if not changes:
        return []
    return ["with torch.no_grad():", f"    for weight in {weights}:", *(f"        {change}" for change in changes)]


def _swa(recipe: Recipe) -> list[str]:
    if not isinstance(recipe.averaging, SWA):
        return []
    first = min(int(recipe.averaging.start * recipe.epochs), recipe.epochs - 1)
    update = "averaged.update_parameters(model)"
    if first == 0:
        return [update]
    if recipe.early_stopping:
        # Before the start the stop part has to see the weights as they are: a mean of one.
        return [f"if epoch <= {first}:", "    averaged.n_averaged.zero_()  # the mean starts anew", update]
    return [f"if epoch >= {first}:", f"    {update}"]


def _stopping(setup: Setup) -> list[str]:
    rule, averages = setup.recipe.early_stopping, setup.recipe.averaging is not None
    if rule is None:
        return []
    network, weights = ("averaged", "averaged.module") if averages else ("model", "model")
    # The epoch is chosen by the plain loss, whatever was minimized.
    criterion = "nn.functional.cross_entropy" if setup.smoothing or setup.balanced else "criterion"
    least = f"best_loss - {literal(rule.min_delta)}" if rule.min_delta else "best_loss"
    outputs = f"{network}(x_stop)"
    if setup.images:
        outputs = f"torch.cat([{network}(part) for part in x_stop.split(256)])"
    measured = [f"stop_loss = {criterion}({outputs}{_column(setup)}, y_stop).item()"]
    if setup.weights is not None:
        measured = weighted_stop_loss(setup.task, f"{outputs}{_column(setup)}")
    return [
        *([] if averages else ["model.eval()"]),
        *_reestimate(setup),
        "with torch.no_grad():",
        *_indented(measured),
        f"if stop_loss < {least}:",
        "    best_loss, best_epoch = stop_loss, epoch",
        f"    best_state = copy.deepcopy({weights}.state_dict())",
        f"elif epoch - best_epoch >= {rule.patience}:",
        "    break",
    ]


def _end(setup: Setup) -> list[str]:
    if setup.recipe.early_stopping is not None:
        return ["model.load_state_dict(best_state)", "model.eval()"]
    if setup.recipe.averaging is not None:
        return [*_reestimate(setup), "model.load_state_dict(averaged.module.state_dict())", "model.eval()"]
    return ["model.eval()"]


def _reestimate(setup: Setup) -> list[str]:
    if setup.recipe.averaging is None or not setup.batch_norm:
        return []
    return ["update_bn((x_train[rows] for rows in batches), averaged)"]


def _column(setup: Setup) -> str:
    return "" if setup.task == "classification" else "[:, 0]"


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
