"""The study: design, phases, resume and verdicts."""

from regimen.study.environment import environment
from regimen.study.findings import Findings
from regimen.study.ledger import Watch
from regimen.study.options import Budget, StudyOptions, parse_budget
from regimen.study.plan import Arm, Plan
from regimen.study.study import Study

__all__ = ["Arm", "Budget", "Findings", "Plan", "Study", "StudyOptions", "Watch", "environment", "parse_budget"]
