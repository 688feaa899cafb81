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
from collections.abc import Callable, Collection
from importlib.metadata import version
from pathlib import Path
from types import CellType, FunctionType
from typing import Any

from robust_dist._cache import cache_directory
from robust_dist.regression.likelihoods._kernel import Kernel
from robust_dist.regression.posterior.engine import density

_KEPT: list[Any] = []
"""what owns the machine code, which is in use until the process ends"""
_ENTRY = "entry"
_FILES = 64
"""how many object files are kept, of 50 KB each; those of other versions go first"""


@functools.cache
def density_of(kernel: Kernel) -> int:
    """Return the address of the log density with a law: int(size, q, gradient, value, data)."""
    inline = _reached(kernel.row, {})
    return _address(density.make(kernel.prepare, kernel.row), 3, inline)


@functools.cache
def keep() -> int:
    """Return the address of what keeps the draws: int(size, size, q, out, data)."""
    return _address(density.keep, 2, ())


def callable_at(address: int) -> Callable[..., int]:
    """Return the density at an address as a function of Python."""
    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, *[ctypes.c_void_p] * 4)(address)


def _address(function: Callable[..., int], pointers: int, inline: Collection[Any]) -> int:
    import llvmlite.binding as llvm

    files = {inspect.getsourcefile(each) or "" for each in _reached(function, {})}
    sources = [Path(file).read_text("utf-8") for file in sorted(files)]
    machine = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    made_of = (*sources, *machine, platform.python_version(), platform.platform())
    key = _digest(repr((made_of, version("numba"), version("llvmlite"))).encode()).hex()
    folder = cache_directory()
    path = None if folder is None else folder / "engine" / f"{function.__name__}-{key[:32]}.o"
    if path is not None:
        with contextlib.suppress(OSError):
            return _load(_read(path))
    machine_code = _compile(function, pointers, inline)
    if path is not None:
        with contextlib.suppress(OSError):
            _write(path, machine_code)
    return _load(machine_code)


def _functions(function: Callable[..., Any]) -> dict[str, FunctionType]:
    """Return the functions of this package that one calls, by the name that it knows them by."""
    known = inspect.getclosurevars(function)
    return {
        name: value
        for name, value in {**known.globals, **known.nonlocals}.items()
        if isinstance(value, FunctionType) and value.__module__.startswith("robust_dist")
    }


def _reached(function: Any, found: dict[Any, None]) -> dict[Any, None]:
    """Return a function and all that it calls."""
    found[function] = None
    for called in _functions(function).values():
        if called not in found:
            _reached(called, found)
    return found


def _jit(function: Any, done: dict[Any, Any], inline: Collection[Any]) -> Any:
    """Return a function for numba, and before it all that it calls."""
    import numba

    if function not in done:
        called = {name: _jit(f, done, inline) for name, f in _functions(function).items()}
        # sums over rows may be taken in any order; the laws' own formulas may not, and are to be
        # part of the loop over rows
        own = function.__module__ == density.__name__
        options: dict[str, Any] = {
            "fastmath": {"contract", "reassoc", "nsz"} if own else {"contract"},
            "error_model": "numpy",
            "forceinline": function in inline,
            "_nrt": False,  # no arrays, hence none of numba's library
        }
        done[function] = numba.njit(_with(function, called), **options)
    return done[function]


def _with(function: Any, replaced: dict[str, Any]) -> FunctionType:
    """Return the function with others in place of some that it calls."""
    free = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    cells = [CellType(replaced[name]) if name in replaced else cell for name, cell in free]
    return FunctionType(
        function.__code__,
        {**function.__globals__, **replaced},
        function.__name__,
        function.__defaults__,
        tuple(cells),
    )


def _compile(function: Callable[..., int], pointers: int, inline: Collection[Any]) -> bytes:
    """Return the object file of a function, which needs nothing of Python nor of numba."""
    import llvmlite.binding as llvm
    from numba import types

    numbers = types.CPointer(types.float64)
    sizes = 4 - pointers
    arguments = (*[types.uint64] * sizes, *[numbers] * pointers, types.CPointer(numbers))
    dispatcher = _jit(function, {}, inline)
    dispatcher.compile(types.int32(*arguments))
    (compiled,) = dispatcher.overloads.values()
    native = compiled.fndesc.llvm_func_name
    module = llvm.parse_assembly(compiled.library.get_llvm_str())
    # numba's functions return a status, which is always good here, and their value by a pointer
    given = ", ".join(f"{'i64' if i < sizes else 'ptr'} %a{i}" for i in range(5))
    module.link_in(
        llvm.parse_assembly(f"""
            declare i32 @{native}(ptr, ptr, {given})
            define i32 @{_ENTRY}({given}) {{
                %value = alloca i32
                %problem = alloca ptr
                %status = call i32 @{native}(ptr %value, ptr %problem, {given})
                %code = load i32, ptr %value
                ret i32 %code
            }}""")
    )
    for part in module.functions:
        if not part.is_declaration and part.name != _ENTRY:
            part.linkage = "internal"
    target = _target()
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
    return int(engine.get_function_address(_ENTRY))


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _read(path: Path) -> bytes:
    """Return the code in a file, whose first bytes say whether it is whole."""
    content = path.read_bytes()
    digest, machine_code = content[:32], content[32:]
    if digest != _digest(machine_code):
        raise OSError(f"{path} is damaged")
    return machine_code


def _write(path: Path, machine_code: bytes) -> None:
    """Write a file at once, whatever other processes do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_digest(machine_code) + machine_code)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    for old in sorted(path.parent.glob("*.o"), key=os.path.getmtime)[:-_FILES]:
        old.unlink(missing_ok=True)
