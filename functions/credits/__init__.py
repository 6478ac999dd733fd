"""Balances and their ledger. Of the functions, only this package writes balances."""
