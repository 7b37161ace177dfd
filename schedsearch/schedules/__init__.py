"""Schedules, their families, and the space that trials sample. Needs torch only to build one."""
