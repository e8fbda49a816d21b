"""Object stores for recordings: what OnAir asks of obstore, and nothing else."""

from onair_media.store.objects import ObjectStore, Sender, StoreError, open_store
from onair_media.store.spool import SpooledStore

__all__ = ["ObjectStore", "Sender", "SpooledStore", "StoreError", "open_store"]
