"""The control plane: the service a team runs."""
