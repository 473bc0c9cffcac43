"""The perf module of the toy kernel."""
