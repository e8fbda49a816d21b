"""A Kubernetes cluster for tests: `python -m kubelab up`, or the fixture `cluster`.

Where it comes from, best first (`provider`): a kubeconfig that is given, the cluster that `up` left running, kind, and
else Kubernetes' own binaries on this machine (`machine`), for which Docker is not needed.

    layout       where everything lies
    binaries     Go modules to binaries, once
    processes    start, remember, recognise, end
    cgroups      the tree that holds all that a cluster runs
    pki          certificates and kubeconfigs
    site         where one control plane keeps its files and listens
    control_plane, dns, node    command lines and configuration files, pure
    network      bridge, second namespace, partition
    sysctls      what a node changes of the kernel's settings
    mounts       what may lie below a folder when it is removed
    machine      all of those together: up, second node, down, leftovers
    host         whether this machine can
    oci, image   images without Docker, from the project's Dockerfile
    kind         the same with Docker or Podman
    kubectl      what tests ask of a cluster
    artifacts    what a failing test leaves behind
    required     what their tests have in common as tests

Where no pod has to run, a control plane alone is enough, of which a machine may have many and nobody needs to be root:

    nodeless     etcd, API server; at will controllers, scheduler, kwok's nodes
    api, access  requests as its administrator; accounts with just these permissions
    kwok         nodes with nothing behind them
"""
