r"""Robust continuous clustering (Shah and Koltun, PNAS 2017) under the general loss.

Every row x_i has a representative u_i. Minimised over all of them is

    1/2 sum_i |x_i - u_i|^2 + lambda sum_{(p, q) in E} w_pq c^2 rho(|u_p - u_q|, alpha, c),

where E joins rows that are among the nearest of each other. An edge between two clusters is an
outlier of the rest: a robust rho lets go of it, and the representatives of a cluster fall together.
Rows whose representatives do are one cluster; their number is found, not given.

It is solved by reweighted least squares: the weights of the edges, then a sparse linear system.
With mu = 4 c^2 and alpha = -2, Geman and McClure's loss, this is the algorithm of the paper and of
its authors' code, whose settings are kept: 10 mutual neighbours by cosine and a spanning tree, w_pq
by degrees, lambda = |X| / |L| renewed at every stage (spectral norms; L is the Laplacian of the
weighted graph), at most four solves a stage and 100 in all, and the threshold of merging.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.sparse.linalg import eigsh, splu
from sklearn.neighbors import kneighbors_graph

from robust_dist import rho, weight
from robust_dist.optimize import alpha_schedule

NEIGHBOURS, SHORTEST, STEPS, SOLVES, SETTLED, STAGES = 10, 0.01, 4, 100, 0.1, 16
"""of the graph; share of edges that sets scales; solves of a stage, of all; change of the loss at
which a stage ends; values of an annealed alpha"""

Schedule = list[tuple[float, float]]
"""alpha and mu of each stage"""


class Graph(NamedTuple):
    """Rows, and which are joined."""

    rows: np.ndarray
    ends: tuple[np.ndarray, np.ndarray]
    weights: np.ndarray
    """w_pq, which lets rows of many edges count no more than others"""
    longest: float
    short: float
    """mean length of the shortest edges, at most 250 of them: where scales end"""
    threshold: float
    """the same of all the shortest: representatives nearer than this are one cluster"""


class Clusters(NamedTuple):
    """What was found."""

    labels: np.ndarray
    representatives: np.ndarray
    solves: int


def join(rows: np.ndarray) -> Graph:
    """Return the graph of mutual nearest neighbours, and of a tree, so that no row is alone."""
    near = kneighbors_graph(rows, NEIGHBOURS, mode="distance", metric="cosine")
    # a sparse zero would be no edge
    near.data = np.maximum(near.data, np.finfo(float).tiny)
    reached = (near > 0).astype(float)
    tree = minimum_spanning_tree(near)
    joined = reached.multiply(reached.T) + (tree + tree.T > 0)
    ends = sparse.triu(joined, 1).nonzero()
    degrees = np.bincount(np.concatenate(ends), minlength=len(rows))
    weights = degrees.mean() / np.sqrt(degrees[ends[0]] * degrees[ends[1]])
    # of near duplicates the authors' code takes no length
    length = lengths(rows, ends)
    length = np.sort(length[length >= 0.01 * np.sqrt(rows.shape[1])])
    shortest = length[: int(np.ceil(SHORTEST * len(weights)))]
    return Graph(rows, ends, weights, length[-1], shortest[:250].mean(), shortest.mean())


def lengths(points: np.ndarray, ends: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the lengths of edges between points."""
    return np.linalg.norm(points[ends[0]] - points[ends[1]], axis=1)


def scale_falls(graph: Graph, alpha: float) -> Schedule:
    """Return the paper's schedule: one alpha, and mu from where every edge counts, by halves."""
    mu, schedule = 3 * graph.longest**2, []
    # the authors compare a square with a length; kept, for their settings are
    while mu >= graph.short:
        schedule.append((alpha, mu))
        mu /= 2
    return [*schedule, (alpha, mu), (alpha, graph.short / 2)]


def alpha_falls(graph: Graph, alpha: float) -> Schedule:
    """Return alpha from 2, where the problem is linear, at the scale with which RCC ends."""
    return [(float(a), graph.short / 2) for a in alpha_schedule(alpha, STAGES)]


def both_fall(graph: Graph, alpha: float) -> Schedule:
    """Return alpha from 2 while mu falls."""
    mus = np.geomspace(3 * graph.longest**2, graph.short / 2, STAGES)
    return list(zip(map(float, alpha_schedule(alpha, STAGES)), mus, strict=True))


def cluster(graph: Graph, schedule: Schedule) -> Clusters:
    """Return the clusters that a schedule leads to."""
    rows, ends, weights = graph.rows, graph.ends, graph.weights
    count, norm, identity = len(rows), np.linalg.norm(rows, 2), sparse.eye_array(len(rows))
    laplacian = _laplacian(count, ends, weights)
    pull = norm / _largest_eigenvalue(laplacian)
    u, stage, steps, before = rows, 0, 0, np.inf
    solves = 0
    while solves < SOLVES:
        solves += 1
        alpha, mu = schedule[stage]
        scale = np.sqrt(mu) / 2
        length = lengths(u, ends)
        edges = weights @ np.asarray(rho(length, alpha, scale))
        loss = ((rows - u) ** 2).sum() / 2 + pull * scale**2 * edges
        counted = scale**2 * np.asarray(weight(length, alpha, scale))
        laplacian = _laplacian(count, ends, weights * counted)
        u = _solve((identity + pull * laplacian).tocsc(), rows)
        steps += 1
        settled, before = abs(before - loss) < SETTLED, loss
        if settled and stage == len(schedule) - 1:
            break
        if settled or steps == STEPS:
            stage, steps = min(stage + 1, len(schedule) - 1), 0
            pull = norm / _largest_eigenvalue(laplacian)
    merged = lengths(u, ends) <= graph.threshold
    together = sparse.coo_array(
        (np.ones(merged.sum()), (ends[0][merged], ends[1][merged])), shape=(count, count)
    )
    return Clusters(connected_components(together, directed=False)[1], u, solves)


def _laplacian(
    count: int, ends: tuple[np.ndarray, np.ndarray], weights: np.ndarray
) -> sparse.csr_array:
    """Return degrees less weights."""
    half = sparse.coo_array((weights, ends), shape=(count, count))
    both = (half + half.T).tocsr()
    return sparse.diags_array(both.sum(1)) - both


def _solve(matrix: sparse.csc_array, right: np.ndarray) -> np.ndarray:
    """Return the solution of a sparse symmetric positive definite system."""
    # in symmetric mode there is half of the fill-in
    options = {"SymmetricMode": True}
    return splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options).solve(right)


def _largest_eigenvalue(matrix: sparse.csr_array) -> float:
    """Return the largest eigenvalue."""
    # a start of its own, so that the answer does not depend on what ran before
    start = np.random.default_rng(0).standard_normal(matrix.shape[0])
    return float(eigsh(matrix, 1, v0=start, tol=1e-4, return_eigenvectors=False)[0])
