"""A study of your own: copy this file, put your model, data and metric into it, and run it.

    python studies/own_task.py       (about a minute on two CPU cores)

It goes on where it was stopped. What else a task may have (several inputs, DataLoaders,
augmentation, parameter groups, no test split) stands in studies/README.md.
"""

import torch
from torch import Tensor, nn

import schedsearch

ARMS = 3


def model() -> nn.Module:
    """Return your model, untrained."""
    return nn.Sequential(
        nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 3)
    )


def load(folder: object) -> schedsearch.Data:
    """Return your data: here points on the arms of a spiral, the same ones each time."""
    generator = torch.Generator().manual_seed(0)
    arms, along = torch.arange(6000) % ARMS, torch.rand(6000, generator=generator)
    angles = 2 * torch.pi * (arms / ARMS + along)
    points = torch.stack([angles.cos(), angles.sin()], dim=1) * along.unsqueeze(1)
    points += 0.05 * torch.randn(points.shape, generator=generator)
    train, validation, test = (
        schedsearch.Split(points[rows], arms[rows]) for rows in torch.arange(6000).split(2000)
    )
    return schedsearch.Data(train, validation, test)


def worst_recall(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return your metric: here the share of points that are found, of the arm with the fewest."""
    found = (outputs.argmax(dim=1) == targets).float()
    return torch.stack([found[targets == arm].mean() for arm in range(ARMS)]).min()


TASK = schedsearch.TaskSource(
    name="own_task:TASK",
    about="Which arm of a spiral a point lies on.",
    models={"mlp": model},
    load=load,
    metrics=["accuracy", schedsearch.Metric("worst_recall", "maximize", worst_recall)],
    target=("val_worst_recall", 0.9),  # the report says how many steps each schedule takes to it
)
TRAINING = {"total_steps": 600, "batch_size": 64, "optimizer": "AdamW"}
SPACE = {"peak_lr": [3e-4, 3e-1]}
STUDY = {"trials": 60, "training": TRAINING, "space": SPACE}

if __name__ == "__main__":
    outcome = schedsearch.run_study(STUDY, task=TASK)
    print(outcome.best_path, outcome.report_path, sep="\n")
