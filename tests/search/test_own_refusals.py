"""Studies with a trainer of the user's own: what is refused, in a line, before anything starts."""

from typing import Any

import pytest
from conftest import merged
from own_trainers import OWN, WORDS

from schedsearch.config import parse_config
from schedsearch.errors import ConfigError
from schedsearch.search.draft import draft_of

REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"task": "digits"}, "task and command exclude each other: one of them trains"),
    ({"trainer": "a:b"}, "command and trainer exclude each other: one of them trains"),
    ({"command": []}, "the key 'task' is missing"),
    ({"command": "python train.py"}, "command = 'python train.py' is not allowed"),
    ({"command": ["pyhton", *WORDS[1:]]}, "command: there is no program 'pyhton'"),
    ({"command": ["python", "no.py", *WORDS[2:]]}, "command: there is no file 'no.py' in "),
    ({"command": WORDS[:-1]}, "command: no word of it holds {seed}, which each training needs"),
    ({"command": [*WORDS, "{sede}"]}, "unknown placeholder 'sede': did you mean 'seed'"),
    ({"model": "mlp"}, "model has no meaning here: your own trainer decides that itself"),
    ({"training": {"batch_size": 32}}, "training.batch_size has no meaning here: your own trainer"),
    ({"training": {"engine": "fused"}}, "training.engine has no meaning here: your own trainer"),
    ({"space": {"peak_lr": "auto"}}, "space.peak_lr is missing: your own trainer can't be given"),
    ({"metrics": {"accuracy": "up"}}, "metrics.accuracy = 'up' is not allowed"),
    ({"metrics": {"loss": "minimize"}}, "a metric cannot be named 'loss'"),
    ({"metrics": {"lr": "minimize"}}, "metrics.lr: an evaluation has that already"),
    ({"target": ["val_f1", 0.5]}, "unknown target 'val_f1'"),
    ({"search": {"objective": "val_f1"}}, "unknown search.objective 'val_f1'"),
    ({"device": "cuda"}, "device = 'cuda': your own trainer chooses its device itself"),
)


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    device = changes.pop("device", "auto")
    with pytest.raises(ConfigError) as caught:
        draft_of(parse_config(merged(OWN | {"command": WORDS}, changes)), device)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_is_not_given_what_is_for_trainers() -> None:
    for key, value in (("parallel", 2), ("limit_minutes", 1.0)):
        with pytest.raises(ConfigError, match=f"training.{key} has no meaning here: it is for a t"):
            parse_config({"name": "a", "task": "digits", "training": {key: value}})
    with pytest.raises(ConfigError, match="metrics has no meaning here: a task says that itself"):
        parse_config({"name": "a", "task": "digits", "metrics": {"f1": "maximize"}})
