"""Rows over several devices: the same numbers, and one message a gradient."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from robust_dist._errors import InputError
from robust_dist.regression import Regression

FOUR_DEVICES = """
import json, re
import jax, numpy as np
from jax.sharding import Mesh
from numpyro.infer.util import initialize_model
from robust_dist.many_rows import compensated
from robust_dist.regression import Regression
from robust_dist.regression.posterior.shard import shard

rng = np.random.default_rng(0)
found = []
for rows in (1024, 1001):
    x = rng.normal(size=rows)
    data = {"y": x + rng.standard_t(3, rows), "x": x, "w": rng.uniform(0.5, 2, rows)}
    data["g"] = np.resize(list("abcde"), rows)
    regression = Regression("y ~ x + (1 | g)", data, weights="w")
    whole = jax.tree.map(
        lambda v: v.astype(float) if v.dtype == np.float32 else v, regression.data
    )
    spread = shard(whole, Mesh(np.array(jax.devices()), "row"))
    for model in (regression.model, compensated(regression.model, -2.0, sharded=True)):
        info = initialize_model(
            jax.random.key(0), model, model_kwargs=whole, dynamic_args=True
        )
        start = jax.tree.map(lambda v: v + 0.1, info.param_info.z)

        def value_and_gradient(start, data):
            return jax.value_and_grad(info.potential_fn(**data))(start)

        compiled = jax.jit(value_and_gradient).lower(start, spread).compile()
        value, gradient = compiled(start, spread)
        true_value, true_gradient = jax.jit(value_and_gradient)(start, whole)
        found.append({
            "instructions": re.findall(
                r" (all-[a-z]+|collective-permute|reduce-scatter)(?:-start)?\\(", compiled.as_text()
            ),
            "devices": len(spread["x"].sharding.device_set),
            "value": abs(float((value - true_value) / true_value)),
            "gradient": max(
                float(abs(a - b).max() / abs(b).max())
                for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(true_gradient))
            ),
        })
print(json.dumps(found))
"""


def run(script, **environment):
    """Return what a script prints last, in a process of its own with four devices."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"} | environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_four_devices_send_one_message_and_find_the_same():
    """One all-reduce and nothing else a gradient, whether or not rows divide by the devices."""
    for found in run(FOUR_DEVICES, JAX_ENABLE_X64="1"):
        assert found["devices"] == 4
        assert found["instructions"] == ["all-reduce"]
        assert found["value"] < 1e-12
        assert found["gradient"] < 1e-12


def test_what_is_no_mesh_or_not_for_one_is_refused():
    x = np.arange(20.0)
    regression = Regression("y ~ x", {"x": x, "y": np.cos(x)})
    with pytest.raises(InputError, match=r"must be a jax\.sharding\.Mesh"):
        regression.fit(mesh=4)
    with pytest.raises(InputError, match="a mesh is for method 'nuts'"):
        regression.fit(mesh=jax.make_mesh((1,), ("row",)), method="map")


FIT = """
import json
import jax, numpy as np
from robust_dist.regression import Regression

rng = np.random.default_rng(0)
x = rng.normal(size=301)
regression = Regression("y ~ x", {"y": x + rng.standard_t(3, 301), "x": x})
options = {"draws": 300, "warmup": 300, "chains": 2, "progress": False}
found = []
for mesh in (None, jax.make_mesh((4,), ("row",))):
    posterior = regression.fit(**options, mesh=mesh)["posterior"]
    found.append([[float(f(posterior[name]).sum()) for f in (lambda v: v.mean(), lambda v: v.std())]
        for name in ("alpha", "sigma")])
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_fit_on_four_devices_is_that_on_one():
    plain, spread = np.array(run(FIT))
    assert np.abs(plain[:, 0] - spread[:, 0]).max() < 0.3 * plain[:, 1].min()
