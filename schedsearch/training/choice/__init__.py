"""Which way of training is fastest here, by measurement."""
