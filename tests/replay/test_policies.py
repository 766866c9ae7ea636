"""The arms of a replay: whom findings may start cycles for."""

from shop import shop_spec
from whorl.replay.policies import BASELINES, policy_spec


def test_findings_start_cycles_of_the_flywheel_and_of_no_baseline() -> None:
    spec = shop_spec("[monitor]\nstart_cycle = true\n")
    assert policy_spec(spec, "flywheel").monitor.start_cycle
    assert not any(policy_spec(spec, baseline).monitor.start_cycle for baseline in BASELINES)
