#!/bin/bash
#SBATCH --job-name=kernel
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=kernel-%j.log
# One kernel, built as a Slurm job: sbatch slurm.sh 2.6.32-220.13.1.el6 20
# For many of them see `kbuild fleet`.
#
# kbuild and what the kernel's build takes must be on the node (`kbuild doctor
# --release R` says what is missing). A job that is requeued goes on where it was
# stopped, if the work directory is on a file system that all nodes have.
set -euo pipefail

release=${1:?the release, such as 2.6.32-220.13.1.el6}
bits=${2:?the size of the table, as a power of two}
top=${KBUILD_TOP:-${SLURM_SUBMIT_DIR:-$PWD}}

# Slurm ends a job with SIGTERM: kbuild must get it itself, to stop in an orderly way.
exec kbuild --format plain ipvs --release "$release" --bits "$bits" --profile fleet --jobs "${SLURM_CPUS_PER_TASK:-1}" \
    --work "$top/work-$release-$bits" --out "$top/out-$release-$bits" --resume-build
