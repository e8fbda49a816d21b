"""Object stores for recordings: what OnAir asks of obstore, and nothing else."""

from onair_media.store.objects import ObjectStore, Sender, StoreError, open_store
from onair_media.store.spool import SpooledStore
from onair_media.store.stores import Credentials, Stores, mounted_credentials

__all__ = [
    "Credentials",
    "ObjectStore",
    "Sender",
    "SpooledStore",
    "StoreError",
    "Stores",
    "mounted_credentials",
    "open_store",
]
