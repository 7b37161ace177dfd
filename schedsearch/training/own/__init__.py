"""Training by a script or a function of the user's own, in processes that are watched."""
