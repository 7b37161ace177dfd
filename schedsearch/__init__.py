"""schedsearch: which learning-rate schedule should I use, and how sure am I.

>>> import schedsearch
>>> schedule = schedsearch.Schedule("StepLR", peak_lr=0.1, params={"step_frac": 0.5, "gamma": 0.1})
>>> [round(rate, 3) for rate in schedule.trace(total_steps=4)]
[0.1, 0.1, 0.01, 0.01]

`schedule.build(optimizer, total_steps)` makes the real torch scheduler,
`load_schedule("best.json")` reads what a study found, `run_study("study.toml")` finds it.
"""

import lazy_loader

# The names are listed in __init__.pyi, each with its module, which is imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
