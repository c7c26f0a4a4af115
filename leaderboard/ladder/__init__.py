"""The ladder from a paper's number to an honest one: every step between the two, run and measured."""
