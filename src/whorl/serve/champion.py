"""The model that answers in this process: the one the ledger's pointer names, swapped without a gap.

`refresh` is called every moment by the runner: it loads what the pointer names now and then changes one reference, so a
request is answered by the old version or the new one, never by none. A version that cannot be loaded leaves the old one
in place.
"""

import threading
from time import perf_counter
from typing import NamedTuple

from whorl.errors import ModelError, WhorlError
from whorl.models.model import Model, load_model
from whorl.records import ModelVersion
from whorl.workspace import Workspace

RETRY_S = 1.0


class Serving(NamedTuple):
    """A version with its loaded model."""

    version: ModelVersion
    model: Model


class Champion:
    """Holds the loaded champion of one flywheel; shared by threads."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._serving: Serving | None = None
        self._loading = threading.Lock()
        self._trouble: WhorlError | None = None
        self._tried_at = -RETRY_S
        self.asked = ws.spec.release.via == "serve"

    @property
    def loaded(self) -> str | None:
        """Id of the version that answers."""
        serving = self._serving
        return serving.version.id if serving else None

    def serving(self) -> Serving:
        """What answers now; the first caller of a flywheel waits until it is loaded.

        Raises:
            ModelError: There is no champion yet, or it cannot be loaded here.
        """
        serving = self._serving
        return serving if serving is not None else self._first()

    def refresh(self) -> None:
        """Load what the pointer names, when that is another version than the one that answers.

        Raises:
            ModelError: It cannot be loaded; the version before it goes on answering.
        """
        with self._loading:
            version = self._ws.registry.champion()
            if version is None:
                self._serving = None
            elif version.id != self.loaded:
                if not version.digest:
                    # Taken back to a model that is not here: the one that was taken back must not go on.
                    self._serving = None
                self._serving = Serving(version, self._load(version))

    def _first(self) -> Serving:
        self.asked = True
        # A broken model is not tried again by every request that comes.
        if self._trouble is None or perf_counter() - self._tried_at > RETRY_S:
            try:
                self.refresh()
                self._trouble = None
            except WhorlError as error:
                self._trouble = error
            self._tried_at = perf_counter()
        serving = self._serving
        if serving is not None:
            return serving
        raise self._trouble or ModelError(
            "There is no champion yet.",
            where=self._ws.name,
            hint="Run a cycle, or promote a version: `whorl cycle run`, `whorl model promote`.",
        )

    def _load(self, version: ModelVersion) -> Model:
        ws = self._ws
        if not version.digest:
            raise ModelError(
                f"The champion {version.id} lives elsewhere ({version.uri or 'no files'}).",
                where=ws.name,
                hint="Ask the server that serves it, or promote a version whose files are in the workspace.",
            )
        return load_model(ws.registry.path(version), version.digest, ws.spec, beside=ws.beside)
