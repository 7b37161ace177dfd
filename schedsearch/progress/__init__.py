"""Progress: what goes on in a study, shown to a person: on a terminal, in a notebook, in lines."""
