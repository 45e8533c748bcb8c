"""A long run at random, with a model that knows what everybody must and must not have seen."""
