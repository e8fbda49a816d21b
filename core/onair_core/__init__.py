"""What both planes speak: contract, identity, manifests, playback paths and the `onair` command."""
