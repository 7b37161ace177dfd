"""Pure functions on arrays: intervals, tests of the winner, time to target, profiles."""
