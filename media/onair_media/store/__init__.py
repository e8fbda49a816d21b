"""Object stores for recordings: what OnAir asks of obstore, and nothing else."""

from onair_media.store.objects import ObjectStore, StoreError, open_store

__all__ = ["ObjectStore", "StoreError", "open_store"]
