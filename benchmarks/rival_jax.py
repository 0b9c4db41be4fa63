"""The same job in JAX: the whole training of a run as one `scan`, `vmap` over runs, compiled once by `jit`."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rivals import BETA_1, BETA_2, EPSILON, Job, Outcome, Setting

# Runs in one vmap: 8 took half the time a run that 32 did, whose weights and moments overflow the cache.
BUNDLE = 8
# Masks are compared with 16-bit numbers of JAX's default generator, threefry: half the time of "rbg" under vmap.

Parameters = list[tuple[jax.Array, jax.Array]]


def compiled(job: Job, bundle: int = BUNDLE) -> Callable[[Sequence[Setting]], list[Outcome]]:
    """Return a function that trains runs of `job`, `bundle` in one vmap; it compiles for every size of a vmap."""
    x, y, x_validation, y_validation = (
        jnp.asarray(part.numpy()) for part in (job.x, job.y, job.x_validation, job.y_validation)
    )
    rows, batch = len(x), job.batch
    full, left = divmod(rows, batch)

    def outputs(parameters: Parameters, h: jax.Array) -> jax.Array:
        for weight, bias in parameters[:-1]:
            h = jax.nn.relu(h @ weight + bias)
        weight, bias = parameters[-1]
        return h @ weight + bias

    def mean_loss(logits: jax.Array, targets: jax.Array) -> jax.Array:
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], axis=1).mean()

    def step_loss(parameters: Parameters, h: jax.Array, targets: jax.Array, bits: jax.Array, p: jax.Array) -> jax.Array:
        threshold, scale = jnp.round(p * 65536).astype(jnp.uint16), 1 / (1 - p)
        taken = 0
        for weight, bias in parameters[:-1]:
            h = jax.nn.relu(h @ weight + bias)
            keep = bits[:, taken : taken + h.shape[1]] >= threshold
            h, taken = jnp.where(keep, h * scale, 0.0), taken + h.shape[1]
        weight, bias = parameters[-1]
        return mean_loss(h @ weight + bias, targets)

    def train(seed: jax.Array, p: jax.Array, lr: jax.Array, decay: jax.Array) -> tuple[jax.Array, ...]:
        key = jax.random.key(seed)
        parameters: Parameters = []
        for inputs, width in job.layers:
            key, one, other = jax.random.split(key, 3)
            bound = inputs**-0.5
            parameters.append(
                (
                    jax.random.uniform(one, (inputs, width), minval=-bound, maxval=bound),
                    jax.random.uniform(other, (width,), minval=-bound, maxval=bound),
                )
            )
        zeros = jax.tree.map(jnp.zeros_like, parameters)

        def step(carry: Any, chosen: jax.Array) -> tuple[Any, None]:
            parameters, first, second, done, key = carry
            key, own = jax.random.split(key)
            bits = jax.random.bits(own, (len(chosen), sum(job.hidden)), jnp.uint16)
            gradients = jax.grad(step_loss)(parameters, x[chosen], y[chosen], bits, p)
            done = done + 1
            first_scale, second_scale = 1 - BETA_1**done, 1 - BETA_2**done
            gradients = jax.tree.map(lambda g, w: g + decay * w, gradients, parameters)
            first = jax.tree.map(lambda m, g: m + (1 - BETA_1) * (g - m), first, gradients)
            second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, gradients)
            parameters = jax.tree.map(
                lambda w, m, v: w - lr / first_scale * m / (jnp.sqrt(v / second_scale) + EPSILON),
                parameters, first, second,
            )  # fmt: skip
            return (parameters, first, second, done, key), None

        def epoch(carry: Any, _: None) -> tuple[Any, tuple[jax.Array, ...]]:
            *state, key = carry
            key, own = jax.random.split(key)
            order = jax.random.permutation(own, rows)
            carry, _ = jax.lax.scan(step, (*state, key), order[: full * batch].reshape(full, batch))
            if left:
                carry, _ = step(carry, order[full * batch :])
            found = outputs(carry[0], x_validation)
            accuracy = (found.argmax(axis=1) == y_validation).mean()
            return carry, (mean_loss(outputs(carry[0], x), y), mean_loss(found, y_validation), accuracy)

        start = (parameters, zeros, zeros, jnp.float32(0), key)
        _, curves = jax.lax.scan(epoch, start, length=job.epochs)
        return tuple(curve[-1] for curve in curves)

    together = jax.jit(jax.vmap(train))

    def one_vmap(settings: Sequence[Setting]) -> list[Outcome]:
        columns = (
            np.array([setting.seed for setting in settings], np.uint32),
            *(np.array([getattr(s, name) for s in settings], np.float32) for name in ("p", "lr", "weight_decay")),
        )
        found = jax.block_until_ready(together(*columns))
        return [
            Outcome(train_loss=float(a), validation_loss=float(b), validation_accuracy=float(c))
            for a, b, c in zip(*found, strict=True)
        ]

    def run(settings: Sequence[Setting]) -> list[Outcome]:
        return [one for i in range(0, len(settings), bundle) for one in one_vmap(settings[i : i + bundle])]

    return run
