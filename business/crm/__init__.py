"""Contacts, companies and deals: who they are, what happened with them, and where their data is from."""
