"""The smoke and functional suites against a server of a test's own checkout."""

import subprocess
import sys

from tests.integration.checkout import Checkout


def assert_suite_passes(server: Checkout) -> None:
    """Run both suites as `nox -s smoke-<name>` does."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "smoke", "-q", "-p", "no:cacheprovider"],
        cwd=server.root,
        env={**server.environment(), "SMOKE_BACKEND": server.backend},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
