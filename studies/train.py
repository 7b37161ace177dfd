"""A training script in plain torch that takes its schedule from a file; see own_trainer.toml."""

import argparse
import json

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from schedsearch import load_schedule

parser = argparse.ArgumentParser()
parser.add_argument("--schedule", required=True, help="best.json, or a schedule's own file")
parser.add_argument("--steps", type=int, default=600)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()

torch.manual_seed(0)  # the data are those of a random network
inputs = torch.randn(3000, 16)
targets = ((inputs @ torch.randn(16, 8)).relu() @ torch.randn(8, 4)).argmax(dim=1)
torch.manual_seed(options.seed)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
schedule = load_schedule(options.schedule)
scheduler = schedule.build(optimizer, options.steps)
every = max(1, options.steps // schedule.evals)

for step in range(1, options.steps + 1):
    rows = torch.randint(2000, (64,))
    loss = cross_entropy(model(inputs[rows]), targets[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % every == 0 or step == options.steps:
        with torch.no_grad():
            outputs = model(inputs[2000:])
        val_loss = cross_entropy(outputs, targets[2000:]).item()
        accuracy = (outputs.argmax(dim=1) == targets[2000:]).float().mean().item()
        if schedule.reacts_to_metric:
            scheduler.step(val_loss if schedule.monitor == "val_loss" else accuracy)
        print(json.dumps({"step": step, "val_loss": val_loss, "accuracy": accuracy}))
