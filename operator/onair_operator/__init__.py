"""Control plane: what LiveStreams ask for becomes channels, status, Events and webhooks."""
