"""How many threads linear algebra may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread, where threadpoolctl is installed, as it is beside scikit-learn.

    For matrices of some hundred columns, threads that wait for each other take up to fifty times as
    long as one alone, if another process wants the cores too.
    """
    if find_spec("threadpoolctl") is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
