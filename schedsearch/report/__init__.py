"""What a person reads of a run: the answer, tables, figures, the page, best.json."""
