"""`make bench`: how fast the product is and what a turn costs, measured, never asserted."""
