"""Write the files of deploy/ that are made from others: `python3 -m scripts.deploy_files`.

The PrometheusRule holds deploy/monitoring/rules.yaml. Standard library only.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "deploy" / "monitoring" / "rules.yaml"
PROMETHEUS_RULE = ROOT / "deploy" / "kubernetes" / "components" / "monitoring" / "rules.yaml"
_HEAD = """\
# Made from deploy/monitoring/rules.yaml by `python3 -m scripts.deploy_files`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: llama-stack
spec:
"""


def prometheus_rule() -> str:
    """Return the PrometheusRule that holds the rules."""
    lines = RULES.read_text(encoding="utf-8").splitlines()
    groups = lines[lines.index("groups:") :]
    return _HEAD + "".join(f"  {line}".rstrip() + "\n" for line in groups)


def main() -> None:
    """Write each file anew."""
    PROMETHEUS_RULE.write_text(prometheus_rule(), encoding="utf-8")


if __name__ == "__main__":
    main()
