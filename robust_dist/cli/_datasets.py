"""``robust-dist datasets``."""

import argparse

from robust_dist.datasets import DATASETS


def run(options: argparse.Namespace) -> None:
    """Print the shipped data sets."""
    for dataset in DATASETS.values():
        print(f"{dataset.name}: {dataset.description}")
        print(f"  formula: {dataset.formula}")
        print(f"  source:  {dataset.citation}")
