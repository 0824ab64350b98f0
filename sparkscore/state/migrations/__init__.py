"""The steps from one schema of the store to the next. Control plane.

Each module of ``versions`` is one revision for Alembic. A revision that was released never changes;
a new one is added to ``schema.REVISIONS`` and brings the tables to what ``tables`` declares.
"""
