#!/bin/bash
# Train a recipe on one or more nodes, as a chain of jobs.
#
#   sbatch recipes/slurm/train.sh gfs_wind_x4 output=$SCRATCH/gfs trainer.batch=256
#   sbatch --nodes=4 --time=12:00:00 recipes/slurm/train.sh my_recipe.yaml
#
# Ten minutes before its time is up, Slurm warns this script; training saves and ends, and the job
# goes back into the queue. The same happens when a node fails or a job is preempted. Every start
# resumes from the newest intact checkpoint. Set account, partition and modules for your site.
#SBATCH --job-name=flexclim
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
    # To torchrun, which hands it to the ranks; srun passes signals on to its tasks.
    kill -USR1 "$step" 2>/dev/null
    wait "$step" && exit 0  # it had just finished
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
}
trap requeue USR1

ranks=${FLEXCLIM_RANKS:-${SLURM_GPUS_ON_NODE:-1}}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((${SLURM_CPUS_PER_TASK:-1} / ranks > 0 ? ${SLURM_CPUS_PER_TASK:-1} / ranks : 1))}
# A large model takes longer to save than the 30 seconds that torchrun gives.
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-300}
# Else ranks that start again may meet addresses of those before them (pytorch issue 135712).
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# One torchrun a node; a rank that dies takes its node's others with it, and all start again.
srun --kill-on-bad-exit=1 torchrun \
    --nnodes="$SLURM_JOB_NUM_NODES" \
    --nproc-per-node="$ranks" \
    --rdzv-backend=c10d \
    --rdzv-endpoint="$first:${FLEXCLIM_PORT:-29500}" \
    --rdzv-id="$SLURM_JOB_ID" \
    --max-restarts=3 \
    --signals-to-handle=SIGTERM,SIGINT,SIGUSR1 \
    -m flexclim train "$@" &
step=$!
wait "$step"
