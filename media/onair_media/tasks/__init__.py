"""Store work that has no live pod: looking whether a store can be used, finishing a recording, deleting one.

`onair store …` is for people, and for the Jobs of a cluster: short, repeatable, and clear about what came of it.
"""
