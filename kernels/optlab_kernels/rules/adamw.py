"""AdamW: Adam with weight decay beside the gradient, so that the root of v does not divide it.

p <- (1 - lr weight_decay) p - lr m^ / (sqrt(v^) + eps),  m^ and v^ as in Adam, of the gradient alone.

Source: Loshchilov & Hutter, ICLR 2019, algorithm 2.
Where the field disagrees: the paper's decay is multiplied by the schedule and not by the rate; torch, Keras and optax
multiply by both. The default is 0.01 in torch, 0.004 in Keras, 0.0001 in optax.
"""

from dataclasses import replace

from optlab_kernels.rules.adam import CONVENTIONS, adam

adamw = replace(
    adam,
    name="adamw",
    text=__doc__,
    conventions={
        **CONVENTIONS,
        "keras": {**CONVENTIONS["keras"], "weight_decay": 4e-3},
        "optax": {"weight_decay": 1e-4},
    },
    decay=0.01,
    decoupled=True,
)
