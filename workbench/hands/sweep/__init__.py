"""Many explanations or whole runs over the values of a grid: what is to be done, what a worker does, what came out.

    workbench sweep grid.yaml --out runs/sweep                                # on this machine's cores
    workbench sweep grid.yaml --out runs/sweep --scheduler tcp://host:8786    # on a cluster

Every task has an id, the digest of what it is. Its row is written as it comes, so that the same command, given again
after a stop, does what is left. A task that fails is a row that says why; `--retry` tries those again. When a worker
dies, its tasks go to another one; a batch that a worker died of twice is taken apart, so that one bad case fails alone.

**Any machine, any cluster.** A cluster is a Dask scheduler that workers have joined; every worker has this package, at
the same version, and sees the run folders under the same paths (a shared file system). By hand, over SSH:

    dask scheduler --host 10.0.0.1 --port 8786 --no-dashboard          # on one machine
    ssh node1 'cd /shared/project && dask worker tcp://10.0.0.1:8786 --nworkers 8 --nthreads 1 --no-dashboard'
    workbench sweep grid.yaml --out /shared/sweep --scheduler tcp://10.0.0.1:8786

`dask ssh --hostfile nodes.txt --nworkers 8 --nthreads 1` (package paramiko) starts the same in one go. On a batch
system (SLURM, PBS, LSF, SGE), package dask-jobqueue starts the workers as jobs:

    from dask_jobqueue import SLURMCluster
    cluster = SLURMCluster(cores=1, processes=1, memory="4GB", walltime="02:00:00", scheduler_options={"port": 8786})
    cluster.adapt(maximum_jobs=40)
    print(cluster.scheduler_address)      # what --scheduler takes; keep this Python running

On Kubernetes, the Dask operator (`helm install --repo https://helm.dask.org --generate-name dask-kubernetes-operator`)
runs them as pods, of an image with this package and a volume with the runs:

    from dask_kubernetes.operator import KubeCluster
    cluster = KubeCluster(name="sweep", image="registry/workbench:1", n_workers=20)
    print(cluster.scheduler_address)

**GPUs.** A grid with `resources: {GPU: 1}` is done by workers that offer that tag alone, one model each:

    CUDA_VISIBLE_DEVICES=0 dask worker tcp://10.0.0.1:8786 --nworkers 1 --nthreads 1 --resources "GPU=1"
    CUDA_VISIBLE_DEVICES=1 dask worker tcp://10.0.0.1:8786 --nworkers 1 --nthreads 1 --resources "GPU=1"

Without `--scheduler`, such a grid runs on this machine's first GPU.

**Who may connect.** A Dask scheduler runs what anybody who reaches it sends: keep it on a private network, or use TLS
(`tls://`, with the certificates named in Dask's configuration). Local workers listen on this machine alone.
`DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=1` at the scheduler makes it give up on a batch after its second death,
as local workers do; the default is the fourth.
`DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False` at each worker is as local workers have it: on Python 3.11 Dask's
profiler can stop a worker for good (python/cpython issue 106883).
"""
