"""Python runs this first in every process that a test starts, because the tests put this directory on PYTHONPATH."""

import loopback_only

loopback_only.install()
