"""The verbs of the `onair` command that belong to the control plane."""
