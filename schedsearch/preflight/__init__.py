"""Preflight: what can be seen of a task and a study before anything long starts."""
