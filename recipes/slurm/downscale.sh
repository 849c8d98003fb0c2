#!/bin/bash
# Downscale on one or more nodes with one worker per GPU, as a chain of jobs.
#
#   sbatch recipes/slurm/downscale.sh coarse.nc $SCRATCH/fine.zarr --factor 4 --members 50
#   sbatch --nodes=4 --time=12:00:00 recipes/slurm/downscale.sh coarse.nc fine.zarr -f 4 -n 50
#
# The store is resumed where it stopped: Slurm signals this script ten minutes before its time is
# up, and the job goes back into the queue; the same happens when a node fails. Input and store lie
# on a file system that all nodes see, or in object storage. Set account, partition and modules for
# your site. Without GPUs, set WORKERS to the worker processes of a node.
#SBATCH --job-name=flexclim-downscale
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=06:00:00
#SBATCH --signal=B:USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

set -uo pipefail

requeue() {
    echo "$(date): stopping to go on in another job"
    kill "$work" 2>/dev/null
    wait "$work" && exit 0  # it had just finished
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
}
trap requeue USR1
trap 'kill $(jobs -p) 2>/dev/null' EXIT

gpus=${SLURM_GPUS_ON_NODE:-0}
file=${SLURM_SUBMIT_DIR:-.}/flexclim-$SLURM_JOB_ID.json
rm -f "$file"
# A worker whose nodes died so often is not the cause; a cluster without workers is an error.
export DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=10
export DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT=600s

dask scheduler --scheduler-file "$file" --port 0 &
if [ "$gpus" -gt 0 ]; then
    # dask-cuda starts one worker per GPU on each node.
    srun --kill-on-bad-exit=0 dask cuda worker --scheduler-file "$file" \
        --nthreads 8 --resources "GPU=1" --death-timeout 300 &
else
    workers=${WORKERS:-1}
    cores=$((${SLURM_CPUS_PER_TASK:-1} / workers > 0 ? ${SLURM_CPUS_PER_TASK:-1} / workers : 1))
    FLEXCLIM_TORCH_THREADS=$cores srun --kill-on-bad-exit=0 dask worker \
        --scheduler-file "$file" --nworkers "$workers" --nthreads 2 --death-timeout 300 &
fi
until [ -s "$file" ]; do sleep 1; done
address=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$file")

flexclim downscale "$@" --scheduler "$address" &
work=$!
wait "$work"
code=$?
rm -f "$file"
exit "$code"
