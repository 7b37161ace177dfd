"""What is searched: schedules, their families, and the space that trials sample."""

from schedsearch.schedules.families import DEFAULT_FAMILIES, FAMILIES, find_family
from schedsearch.schedules.family import Family, Span
from schedsearch.schedules.schedule import Schedule, Warmup
from schedsearch.schedules.space import Space, suggest_schedule

__all__ = [
    "DEFAULT_FAMILIES",
    "FAMILIES",
    "Family",
    "Schedule",
    "Space",
    "Span",
    "Warmup",
    "find_family",
    "suggest_schedule",
]
