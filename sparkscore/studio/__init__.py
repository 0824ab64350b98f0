"""Studio: pages for people, rendered on the server. Control plane.

A sub-application of the REST server, below ``/studio``; see ``sparkscore.studio.app``.
"""
