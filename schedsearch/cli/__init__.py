"""The command line: parse, call, print. The commands import what is slow when they are called."""
