"""Delete the compiled code that optlab keeps on disk; it is compiled again when it is next used."""

from pathlib import Path

from optlab_kernels.cache import DigestCache
from optlab_kernels.fuse import fuse
from optlab_kernels.rules import RULES


def main() -> None:
    """Remove every file of the cache folder that is optlab's."""
    cache = getattr(fuse(RULES["sgd"]), "_cache", None)
    if not isinstance(cache, DigestCache):
        print("nothing is kept on disk")
        return
    files = [f for f in Path(cache.cache_path).iterdir() if f.suffix in {".nbc", ".damaged", ".part"}]
    for file in files:
        file.unlink(missing_ok=True)
    print(f"deleted {len(files)} files from {cache.cache_path}")


if __name__ == "__main__":
    main()
