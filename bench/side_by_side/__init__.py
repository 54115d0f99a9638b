"""The product as one of the peers that the bench of the peers compares, by the three functions that it asks for."""
