"""The condition of this deployment: facts, each true, false or unknown, and the grade that follows from them."""

from remit.posture.fact import Fact
from remit.posture.grade import Grade, grade

__all__ = ["Fact", "Grade", "grade"]
