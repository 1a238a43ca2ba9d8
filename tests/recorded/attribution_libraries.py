"""Writes down what independent libraries find on a file of paths: channel_attribution.json, mta.json beside this file.

Run in an environment of its own, for both bring much that nothing else needs:

    python -m venv /tmp/libraries
    /tmp/libraries/bin/pip install ChannelAttribution==2.2.5 mta==0.0.9 matplotlib
    /tmp/libraries/bin/python tests/recorded/attribution_libraries.py ../shared/datasets/mta_eeghor/data.csv.gz
"""

import json
import sys
from pathlib import Path

import ChannelAttribution
import mta
import pandas as pd

HERE = Path(__file__).parent
SEEDS = range(0, 400, 10)  # Seeds that are near each other give the same paths.
PATHS = 100_000


def removal_effects(file: str) -> dict[str, list[float]]:
    """Each channel's removal effect, by simulation of the chain, once a seed."""
    paths = pd.read_csv(file)
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
        told = ChannelAttribution.markov_model(
            paths,
            "path",
            "total_conversions",
            var_null="total_null",
            out_more=True,
            seed=seed,
            nsim_start=PATHS,
            verbose=False,
            flg_pro=False,
        )
        for _, (channel, effect) in told["removal_effects"].iterrows():
            found.setdefault(channel, []).append(effect)
    return found


def shapley(file: str) -> dict[str, float]:
    """Each channel's Shapley value, as its part of all conversions."""
    model = mta.MTA(file)
    model.shapley(normalize=True)
    return dict(model.attribution["shapley"])


def write(name: str, found: object) -> None:
    """Keeps what was found."""
    (HERE / name).write_text(json.dumps(found, sort_keys=True, indent=1) + "\n")


if __name__ == "__main__":
    write("channel_attribution.json", removal_effects(sys.argv[1]))
    write("mta.json", shapley(sys.argv[1]))
