"""Policies as data, the facts they may name, and the one adapter to the rule engine."""
