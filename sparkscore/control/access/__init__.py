"""Who may do what through the server: roles, tokens, places, log of writes. Control plane."""
