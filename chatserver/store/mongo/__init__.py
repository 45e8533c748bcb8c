"""The store on MongoDB, through Motor."""
