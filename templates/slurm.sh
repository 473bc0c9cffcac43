#!/bin/sh
#SBATCH --job-name=<< name >>
#SBATCH --array=0-<< last >>
#SBATCH --output=<< name >>-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
# A limit of the partition counts, too; this is some times as long as the longest is expected to take.
##SBATCH --time=<< hours >>:00:00
#
# The << cells >> cells of << file >>, shared by << shards >> tasks. kbuild << version >> wrote it. Start it where that file is to be
# found by this name:
#
<% for command in commands %>
#     << command >>
<% endfor %>
#
# Results go to a directory that all nodes see. A task that is requeued, or submitted again by itself (sbatch --array=3), does
# its own shard: it takes what is done, and goes on with what was interrupted if it finds the same work directory (`work` in
# the fleet file; one for each node is faster, one that all see lets another node go on).
<% if last > 1000 %>
#
# The highest index is << last >>: MaxArraySize must be larger (scontrol show config; 1001 unless the site says otherwise).
<% endif %>
set -eu
# The array may be another one next time; the shards are not.
export KBUILD_SHARDS=<< shards >>
# In place of the shell, so that Slurm's signals reach it: it ends rpmbuild and writes down how far it was.
exec << run >>
