r"""Generate ``robust_dist/_tables/densities.tar.xz``: the engine's densities, for LLVM to finish.

Run as ``python -m robust_dist._precompute.densities`` (a minute), with the oldest LLVM that the
package allows, since each reads what older ones have written::

    uv run --isolated --extra regression --extra precompute --with numba==0.62.0 \
        --with llvmlite==0.45.0 python -m robust_dist._precompute.densities

numba reads the functions of ``regression/posterior/engine/density`` and of the laws' kernels, and
LLVM simplifies what it makes of them, for no processor in particular; which it is, and how many
rows it computes at once, is decided where the code is loaded (``engine/compiled``). So numba, which
takes ten times as long as all that is left, is not needed at run time.
"""

import contextlib
import inspect
import io
import lzma
import sys
import tarfile
from collections.abc import Callable, Collection, Iterator
from types import CellType, FunctionType
from typing import Any

from robust_dist.regression.likelihoods import LIKELIHOODS
from robust_dist.regression.likelihoods._cell_kernel import of_cells
from robust_dist.regression.likelihoods._kernel import Kernel
from robust_dist.regression.posterior.engine import density
from robust_dist.regression.posterior.engine.compiled import ENTRY, PATH, digest, name_of


def functions() -> dict[str, tuple[Callable[..., int], int, Collection[Any]]]:
    """Return by name what is compiled, how many pointers it takes, and what is to be inlined."""
    made: dict[str, tuple[Callable[..., int], int, Collection[Any]]] = {
        "keep": (density.keep, 2, ())
    }
    kernels = {law.kernel for law in LIKELIHOODS.values() if law.kernel is not None}
    for kernel in sorted(kernels, key=lambda each: each.name):
        for rounded in (False, True):
            made[name_of(kernel, rounded)] = _density(kernel, rounded)
    return made


def _density(kernel: Kernel, rounded: bool) -> tuple[Callable[..., int], int, Collection[Any]]:
    # of points, rows are computed several at once: all that a row calls is part of the loop
    row = of_cells(kernel.row) if rounded else density.of_points(kernel.row)
    inline = _reached(kernel.row if rounded else row, {})
    return density.make(kernel.prepare, row), 3, inline


def source_digest(function: Callable[..., int]) -> str:
    """Return a digest of all that a function is made from: sources, and the numbers they name."""
    parts = []
    for each in _reached(function, {}):
        known = inspect.getclosurevars(each)
        numbers = {
            name: value
            for name, value in {**known.globals, **known.nonlocals}.items()
            if isinstance(value, int | float | tuple)
        }
        parts.append(inspect.getsource(each) + repr(sorted(numbers.items())))
    return digest("".join(sorted(parts)).encode()).hex()


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


@contextlib.contextmanager
def _unoptimised() -> Iterator[None]:
    """Let numba hand functions over as it reads them; LLVM optimises them later, all in one."""
    import numba
    from numba.core.compiler_lock import global_compiler_lock

    with global_compiler_lock:  # so that it concerns no other thread's functions
        settings: Any = numba.config
        level = settings.OPT
        settings.OPT = type(level)(0)
        try:
            yield
        finally:
            settings.OPT = level


def bitcode(function: Callable[..., int], pointers: int, inline: Collection[Any]) -> bytes:
    """Return LLVM's code of a function, which needs nothing of Python nor of numba."""
    import llvmlite.binding as llvm
    from numba import types

    numbers = types.CPointer(types.float64)
    sizes = 4 - pointers
    arguments = (*[types.uint64] * sizes, *[numbers] * pointers, types.CPointer(numbers))
    dispatcher = _jit(function, {}, inline)
    with _unoptimised():
        dispatcher.compile(types.int32(*arguments))
    (compiled,) = dispatcher.overloads.values()
    native = compiled.fndesc.llvm_func_name
    module = llvm.parse_assembly(compiled.library.get_llvm_str())
    # numba's functions return a status, which is always good here, and their value by a pointer
    given = ", ".join(f"{'i64' if i < sizes else 'ptr'} %a{i}" for i in range(5))
    module.link_in(
        llvm.parse_assembly(f"""
            declare i32 @{native}(ptr, ptr, {given})
            define i32 @{ENTRY}({given}) {{
                %value = alloca i32
                %problem = alloca ptr
                %status = call i32 @{native}(ptr %value, ptr %problem, {given})
                %code = load i32, ptr %value
                ret i32 %code
            }}""")
    )
    for part in module.functions:
        if not part.is_declaration and part.name != ENTRY:
            part.linkage = "internal"
    # what is true of every processor: calls and variables are resolved, and no more
    llvm.initialize_native_target()
    generic = llvm.Target.from_default_triple().create_target_machine(cpu="", features="", opt=1)
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(generic, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(module.as_bitcode())


def main() -> None:
    """Write the archive: of each function its code, and what its sources were."""
    members = {}
    for name, (function, pointers, inline) in functions().items():
        members[f"{name}.bc"] = bitcode(function, pointers, inline)
        members[f"{name}.source"] = source_digest(function).encode()
    # next to each other what is alike, and no time nor owner: the same sources, the same file
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(members, key=lambda name: (name.rpartition(".")[2], name)):
            member = tarfile.TarInfo(name)
            member.size = len(members[name])
            archive.addfile(member, io.BytesIO(members[name]))
    PATH.write_bytes(lzma.compress(plain.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    print(f"wrote {PATH}", file=sys.stderr)


if __name__ == "__main__":
    main()
