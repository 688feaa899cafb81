"""Machine code of the density: compiled once by numba, and loaded by LLVM from then on.

numba's own cache on disk would not see changes of other files, raises where it cannot write, and
costs the second that numba takes to import. So the object file is kept instead, under a name made
of all that it was made of.
"""

import contextlib
import ctypes
import functools
import hashlib
import inspect
import os
import platform
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

from robust_dist._cache import cache_directory
from robust_dist.regression.likelihoods._kernel import Kernel
from robust_dist.regression.posterior.engine import density

_KEPT: list[Any] = []
"""what owns the machine code, which is in use until the process ends"""


@functools.cache
def density_of(kernel: Kernel) -> int:
    """Return the address of the log density with a law: int(size, q, gradient, value, data)."""
    return _address(density.make(kernel.prepare, kernel.row), 3)


@functools.cache
def keep() -> int:
    """Return the address of what keeps the draws: int(size, size, q, out, data)."""
    return _address(density.keep, 2)


def _address(function: Callable[..., int], pointers: int) -> int:
    import llvmlite.binding as llvm

    sources = _sources(function, {})
    machine = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    made_of = (*sorted(sources.values()), *machine, platform.python_version(), platform.platform())
    key = _digest(repr((made_of, version("numba"), version("llvmlite"))).encode()).hex()
    folder = cache_directory()
    path = None if folder is None else folder / "engine" / f"{function.__name__}-{key[:32]}.o"
    if path is not None:
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            return _load(*_read(path))
    name, machine_code, address = _compile(function, pointers)
    if path is not None:
        with contextlib.suppress(OSError):
            _write(path, name, machine_code)
    return address


def _functions(function: Callable[..., Any]) -> dict[str, FunctionType]:
    """Return the functions of this package that one calls, by the name that it knows them by."""
    known = inspect.getclosurevars(function)
    return {
        name: value
        for name, value in {**known.globals, **known.nonlocals}.items()
        if isinstance(value, FunctionType) and value.__module__.startswith("robust_dist")
    }


def _sources(function: Callable[..., Any], found: dict[str, str]) -> dict[str, str]:
    """Return the modules, by name, of a function and of all that it calls."""
    file = inspect.getsourcefile(function)
    assert file is not None
    found[f"{function.__module__}.{function.__qualname__}"] = Path(file).read_text("utf-8")
    for called in _functions(function).values():
        if f"{called.__module__}.{called.__qualname__}" not in found:
            _sources(called, found)
    return found


def _jit(function: Callable[..., Any], done: dict[Any, Any]) -> Any:
    """Return a function for numba, and before it all that it calls."""
    import numba

    if function not in done:
        plain = _with(function, {n: _jit(f, done) for n, f in _functions(function).items()})
        # sums over rows may be taken in any order; the laws' own formulas may not
        own = function.__module__ == density.__name__
        fast = {"contract", "reassoc", "nsz"} if own else {"contract"}
        done[function] = numba.njit(plain, fastmath=fast, error_model="numpy", _nrt=False)
    return done[function]


def _with(function: Any, replaced: dict[str, Any]) -> FunctionType:
    """Return the function with others in place of some that it calls."""
    cells = [
        type(cell)(replaced[name]) if name in replaced else cell
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    ]
    return FunctionType(
        function.__code__,
        {**function.__globals__, **replaced},
        function.__name__,
        function.__defaults__,
        tuple(cells),
    )


def _compile(function: Callable[..., int], pointers: int) -> tuple[str, bytes, int]:
    import numba
    from numba import types

    numbers = types.CPointer(types.float64)
    sizes = [types.uint64] * (4 - pointers)
    signature = types.int32(*sizes, *[numbers] * pointers, types.CPointer(numbers))
    done: dict[Any, Any] = {}
    plain = _with(function, {n: _jit(f, done) for n, f in _functions(function).items()})
    compiled = numba.cfunc(
        signature,
        fastmath={"contract", "reassoc", "nsz"},
        error_model="numpy",
        _nrt=False,
    )(plain)
    _KEPT.append(compiled)
    _, _, (machine_code, _) = compiled._library.serialize_using_object_code()
    return compiled._wrapper_name, machine_code, compiled.address


def _load(name: str, machine_code: bytes) -> int:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for symbol in ("numba_gil_ensure", "numba_gil_release"):
        # of numba's way to report exceptions, of which there are none
        if not llvm.address_of_symbol(symbol):
            llvm.add_symbol(symbol, ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p).value)
    target = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.ObjectFileRef.from_data(machine_code))
    engine.finalize_object()
    _KEPT.append(engine)
    address = int(engine.get_function_address(name))
    if not address:
        raise RuntimeError("no such function in the object file")
    return address


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _read(path: Path) -> tuple[str, bytes]:
    """Return the name and the code of a file, whose first bytes say whether it is whole."""
    content = path.read_bytes()
    digest, rest = content[:32], content[32:]
    if digest != _digest(rest):
        raise ValueError("damaged")
    name, _, machine_code = rest.partition(b"\0")
    return name.decode(), machine_code


def _write(path: Path, name: str, machine_code: bytes) -> None:
    """Write a file at once, whatever other processes do, and drop those of other versions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = name.encode() + b"\0" + machine_code
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_digest(rest) + rest)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
