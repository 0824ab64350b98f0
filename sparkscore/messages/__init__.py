"""Versioned messages between control plane, driver and executors. Any process.

Frozen dataclasses, standard library only; ``codec`` turns them into JSON and back.
"""
