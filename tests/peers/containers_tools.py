"""Settings for podman, buildah and skopeo that leave the machine's own alone."""

import json
from pathlib import Path


def containers_environment(directory: Path) -> dict[str, str]:
    """Write settings into `directory`, and return the environment that makes the three programs use them."""
    home = directory / "home"
    (home / ".config" / "containers").mkdir(parents=True)  # and `directory` with it
    # Signatures are another story; without this file the programs refuse to pull.
    (home / ".config" / "containers" / "policy.json").write_text(
        json.dumps({"default": [{"type": "insecureAcceptAnything"}]})
    )
    (directory / "registries.conf").write_text("unqualified-search-registries = []\n")
    (directory / "storage.conf").write_text(
        "[storage]\n"
        # Slow with many layers, and works on any file system. Our images have one.
        'driver = "vfs"\n'
        f'graphroot = "{directory}/storage"\n'
        f'runroot = "{directory}/run"\n'
    )
    (directory / "containers.conf").write_text(
        "[containers]\n"
        # The defaults ask for more than a root without CAP_SYS_RESOURCE may have.
        'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
        "[engine]\n"
        'cgroup_manager = "cgroupfs"\n'
        'events_logger = "none"\n'
        f'tmp_dir = "{directory}/scratch"\n'
        "[network]\n"
        # Without a word here podman looks for plugins that these tests have no use for.
        'network_backend = "cni"\n'
        f'network_config_dir = "{directory}/networks"\n'
    )
    return {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(directory / "run"),
        "CONTAINERS_CONF": str(directory / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(directory / "registries.conf"),
        "TMPDIR": str(directory),
    }
