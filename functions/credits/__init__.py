"""Balances and their ledger: the only package that writes balances."""
