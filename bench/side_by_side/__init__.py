"""The product as one of the peers that ../shared/bench compares, by the three functions that it asks for."""
