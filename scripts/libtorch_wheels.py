"""Takes LibTorch out of PyTorch's wheels, for scripts/bootstrap.

    libtorch_wheels.py needs FOLDER        the NVIDIA requirements of FOLDER's torch wheel
    libtorch_wheels.py unpack FOLDER OUT   the C++ parts of all of FOLDER's wheels, below OUT

Only Python's standard library is used. Below OUT, torch/ and nvidia/ lie side by side, as the
libraries' own run paths expect.
"""

import ctypes
import pathlib
import re
import shutil
import sys
import zipfile

# Parts of the wheel that only Python code, or PyTorch's own tests, load.
SKIPPED_LIBRARIES = re.compile(
    r"torch/lib/lib(torch_python|shm|jitbackend_test|torchbind_test|backend_with_compiler|"
    r"aoti_custom_ops)\b"
)
SPARE_BYTES = 256 << 20


def is_wanted(name):
    if name.endswith("/") or SKIPPED_LIBRARIES.match(name):
        return False
    if name.startswith("nvidia/"):
        return "/lib/" in name or "license" in name.lower()
    return name == "torch/version.py" or name.startswith(
        ("torch/lib/", "torch/include/", "torch/share/", "torch/.dylibs/", "torch.libs/")
    ) or re.match(r"torch-[^/]*\.dist-info/(METADATA|LICENSE|NOTICE|licenses/)", name) is not None


def wheels(folder):
    found = sorted(pathlib.Path(folder).glob("*.whl"))
    if not any(path.name.startswith("torch-") for path in found):
        sys.exit(f"bootstrap: pip left no torch wheel in {folder}")
    return found


def needs(folder):
    """Prints the requirements on NVIDIA's libraries; none for a CPU build."""
    for path in wheels(folder):
        if not path.name.startswith("torch-"):
            continue
        with zipfile.ZipFile(path) as wheel:
            metadata = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
            text = wheel.read(metadata).decode()
        for requirement in re.findall(r"^Requires-Dist: *(.*)$", text, re.MULTILINE):
            if re.match(r"nvidia-|cuda-toolkit", requirement) and "extra ==" not in requirement:
                print(requirement)


def unpack(folder, out):
    out = pathlib.Path(out)
    out.mkdir()
    archives = [zipfile.ZipFile(path) for path in wheels(folder)]
    members = [(archive, m) for archive in archives for m in archive.infolist()
               if is_wanted(m.filename)]
    size = sum(member.file_size for _, member in members)
    free = shutil.disk_usage(out).free
    if size + SPARE_BYTES > free:
        sys.exit(f"bootstrap: LibTorch takes {size >> 20} MiB and {out.parent.parent} has only "
                 f"{free >> 20} MiB free.\n  Make room, or set XDG_CACHE_HOME to another disk.")
    for archive, member in members:
        archive.extract(member, out)
    for path in sorted((out / "torch" / "lib").glob("libtorch.so")):
        ctypes.CDLL(str(path))


if __name__ == "__main__":
    try:
        {"needs": needs, "unpack": unpack}[sys.argv[1]](*sys.argv[2:])
    except zipfile.BadZipFile as error:
        sys.exit(f"bootstrap: a downloaded wheel is damaged ({error}).\n  Start again.")
    except OSError as error:
        sys.exit(f"bootstrap: LibTorch could not be unpacked or loaded: {error}")
