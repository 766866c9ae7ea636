"""The whole of flywheel.toml, and what it comes to where it is silent."""

from typing import Annotated, Literal

from msgspec import Meta, UnsetType

from whorl.records import Task
from whorl.spec.knobs.capture import CaptureSpec
from whorl.spec.knobs.curate import CurateSpec
from whorl.spec.knobs.evaluate import EvaluateSpec, GateSpec
from whorl.spec.knobs.knob import Knobs, knob
from whorl.spec.knobs.labels import LabelsSpec
from whorl.spec.knobs.monitor import CadenceSpec, MonitorSpec
from whorl.spec.knobs.release import ChampionSpec, ReleaseSpec
from whorl.spec.knobs.schema import FeatureSpec, SchemaSpec
from whorl.spec.knobs.train import TrainSpec

Automation = Literal["manual", "semi", "approval", "full"]


class Spec(Knobs, frozen=True, kw_only=True):
    name: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,62}$")],
        knob("The flywheel's name: lower case, digits, - and _."),
    ]
    task: Annotated[Task, knob("What the model does.")]
    automation: Annotated[
        Automation,
        knob(
            "'manual': starts by hand only, and waits before training and before release; 'semi': starts by itself, waits at both; 'approval': waits before release; 'full': by itself."
        ),
    ] = "approval"
    schema: Annotated[SchemaSpec, knob("Where things are in your records.")] = SchemaSpec()
    capture: Annotated[CaptureSpec, knob("What may be kept of a record; see docs/privacy.md.")] = (
        CaptureSpec()
    )
    labels: Annotated[LabelsSpec, knob("How late truth is joined.")] = LabelsSpec()
    curate: Annotated[CurateSpec, knob("Which rows are worth learning from.")] = CurateSpec()
    train: Annotated[TrainSpec, knob("How a challenger is made.")] = TrainSpec()
    evaluate: Annotated[EvaluateSpec, knob("What a challenger must prove.")] = EvaluateSpec()
    release: Annotated[ReleaseSpec, knob("How a challenger comes into service.")] = ReleaseSpec()
    champion: Annotated[ChampionSpec, knob("The model that serves today, when trained elsewhere.")] = (
        ChampionSpec()
    )
    monitor: Annotated[MonitorSpec, knob("What is watched.")] = MonitorSpec()
    cadence: Annotated[CadenceSpec, knob("When the wheel turns by itself.")] = CadenceSpec()

    @property
    def features(self) -> dict[str, FeatureSpec]:
        """Declared features in order, each with its type and path."""
        declared = self.schema.features
        return {n: f if isinstance(f, FeatureSpec) else FeatureSpec(type=f) for n, f in declared.items()}

    @property
    def protected(self) -> dict[str, str]:
        """Fairness groups: name to path."""
        declared = self.schema.protected
        return dict(declared) if isinstance(declared, dict) else {name: name for name in declared}

    @property
    def metric(self) -> str:
        """The deciding metric; by task where none is named."""
        default = {
            "binary": "average_precision",
            "multiclass": "log_loss",
            "regression": "mae",
            "generation": "accuracy",
        }
        return self.evaluate.metric or default[self.task]

    @property
    def gates(self) -> list[GateSpec]:
        """The declared gates, or the defaults when the spec is silent."""
        declared = self.evaluate.gates
        if isinstance(declared, UnsetType):
            return [GateSpec(check="better"), GateSpec(check="no_segment_worse")]
        return declared
