"""A small Kubernetes client on aiohttp: what the operator writes with, and what operator and edges read with.

| module | what it is | I/O |
|---|---|---|
| `resources` | paths of the kinds that OnAir uses | none |
| `errors` | what the API server answers instead of an object | none |
| `login`, `config` | where the API server is and how to speak to it: in a pod, or by kubeconfig | small files |
| `kubeconfig`, `exec_plugin` | kubeconfig files and the programs they name (docs/decisions/014) | files, a process |
| `client` | requests, retries, watches | aiohttp |
| `frames` | lines of a watch | none |
| `store` | what a list and a watch say together, as changes | none |
| `reflector` | a store that follows the API server | the client |

Objects are plain dicts, as the API server sends them.
"""
