"""One flywheel of a server: what its tasks are, and the champion that answers."""

from datetime import datetime

from whorl.capture.flush import Tell
from whorl.cycle import Trigger, start, turn
from whorl.errors import StorageError
from whorl.monitor.watch import watch
from whorl.release.deliver import deliver_webhooks
from whorl.serve.champion import Champion
from whorl.serve.flushing import Flushing
from whorl.serve.scheduler import Seen, Task
from whorl.serve.seen import look
from whorl.workspace import Workspace


class Wheel(Flushing):
    """Everything is done here.

    Args:
        ws: For requests, the flusher and everything small.
        turning: For cycles: the engine of a workspace is used by one thread at a time.
        tell: Called for each batch that was moved to the lake here.
    """

    def __init__(self, ws: Workspace, turning: Workspace, tell: Tell | None = None) -> None:
        super().__init__(ws, tell)
        self.turning = turning
        self.champion = Champion(ws)

    def run(self, task: Task) -> None:
        """Do one task; raises what it raises."""
        match task.what:
            case "load":
                self.champion.refresh()
            case "turn":
                turn(self.turning, task.argument, self.tell)
            case "start":
                why: Trigger = "finding" if task.argument == "finding" else "cadence"
                start(self.turning, why, self.tell)
            case "watch":
                watch(self.turning, self.ws.clock.now())
            case "deliver":
                # Each flywheel signs with its own key.
                deliver_webhooks(self.ws.ledger, self.ws.spec.release.secret_env, self.name)
            case "mirror":
                if problems := self.ws.mirror_models():
                    raise StorageError("; ".join(problems), where="MLflow")
            case _:
                super().run(task)

    def _seen(self, now: datetime) -> Seen:
        champion = self.champion
        return look(self.ws.ledger, self.ws.spec, now, loaded=champion.loaded, serves=champion.asked)
