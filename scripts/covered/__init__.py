"""How much of each floor is run by the tests of its own folder."""
