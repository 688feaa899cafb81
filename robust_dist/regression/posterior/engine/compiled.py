"""Machine code of the density: finished by LLVM for this processor, kept, and loaded from then on.

Most of the work is done before the package is shipped (``_precompute/densities``). What is left
takes LLVM half a second, once for each law: the object file is kept on disk, under a name made of
all that it was made of.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import tarfile
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import robust_dist._tables
from robust_dist._cache import cache_directory
from robust_dist.regression.likelihoods._kernel import Kernel

PATH = Path(robust_dist._tables.__file__).parent / "densities.tar.xz"
"""the shipped code of LLVM, of each density and of ``keep``"""
ENTRY = "entry"
"""the function of each"""
_KEPT: list[Any] = []
"""what owns the machine code, which is in use until the process ends"""
_FILES = 64
"""how many object files are kept, of 50 KB each; those of other versions go first"""


def name_of(kernel: Kernel, rounded: bool) -> str:
    """Return the name of the density with a law, of exact or of rounded responses."""
    return f"{kernel.name}-rounded" if rounded else kernel.name


@functools.cache
def density_of(kernel: Kernel, rounded: bool = False) -> int:
    """Return the address of the log density with a law: int(size, q, gradient, value, data)."""
    return _address(name_of(kernel, rounded))


@functools.cache
def keep() -> int:
    """Return the address of what keeps the draws: int(size, size, q, out, data)."""
    return _address("keep")


def callable_at(address: int) -> Callable[..., int]:
    """Return the density at an address as a function of Python."""
    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, *[ctypes.c_void_p] * 4)(address)


def shipped(name: str) -> bytes:
    """Return a member of the archive."""
    with tarfile.open(PATH) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


def _address(name: str) -> int:
    import llvmlite.binding as llvm

    bitcode = shipped(f"{name}.bc")
    machine = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    made_of = (digest(bitcode), *machine, platform.platform(), version("llvmlite"))
    key = digest(repr(made_of).encode()).hex()
    folder = cache_directory()
    path = None if folder is None else folder / "engine" / f"{name}-{key[:32]}.o"
    if path is not None:
        with contextlib.suppress(OSError):
            return _load(_read(path))
    machine_code = _finish(bitcode)
    if path is not None:
        with contextlib.suppress(OSError):
            _write(path, machine_code)
    return _load(machine_code)


def _finish(bitcode: bytes) -> bytes:
    """Return the object file for this processor, several rows computed at once."""
    import llvmlite.binding as llvm

    target = _target()
    module = llvm.parse_bitcode(bitcode)
    module.triple = target.triple
    module.data_layout = str(target.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(target.emit_object(module))


def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        jit=True,
    )


def _load(machine_code: bytes) -> int:
    import llvmlite.binding as llvm

    # all that LLVM makes up by itself: of the C library's mathematics nothing is called
    for name, function in (("memset", ctypes.memset), ("memmove", ctypes.memmove)):
        llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(machine_code))
    engine.finalize_object()
    _KEPT.append(engine)
    return int(engine.get_function_address(ENTRY))


def digest(content: bytes) -> bytes:
    """Return what tells contents apart."""
    return hashlib.sha256(content).digest()


def _read(path: Path) -> bytes:
    """Return the code in a file, whose first bytes say whether it is whole."""
    content = path.read_bytes()
    told, machine_code = content[:32], content[32:]
    if told != digest(machine_code):
        raise OSError(f"{path} is damaged")
    return machine_code


def _write(path: Path, machine_code: bytes) -> None:
    """Write a file at once, whatever other processes do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(digest(machine_code) + machine_code)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    for old in sorted(path.parent.glob("*.o"), key=os.path.getmtime)[:-_FILES]:
        old.unlink(missing_ok=True)
