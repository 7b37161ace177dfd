"""How well the rungs rank schedules for the full horizon."""
