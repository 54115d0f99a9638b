"""Tenants, their people, and how they log in."""
