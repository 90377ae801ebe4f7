#!/usr/bin/env bash
# Cancel the jobs of, and stop, the SLURM that up.sh started in a folder.
set -uo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
state=$(realpath -m "${1:-/tmp/slurm}")
export SLURM_CONF=$state/slurm.conf
[ -e "$SLURM_CONF" ] || exit 0

timeout 20 scancel --me 2>/dev/null
for _ in $(seq 50); do
    [ -n "$(timeout 10 squeue -h 2>/dev/null)" ] || break
    sleep 0.2
done
for file in "$state"/run/slurmd-*.pid "$state/run/slurmctld.pid" "$state/run/munged.pid"; do
    [ -s "$file" ] || continue
    process=$(cat "$file")
    # A number may have gone to somebody else: only what has this folder on its command line is stopped.
    tr '\0' ' ' <"/proc/$process/cmdline" 2>/dev/null | grep -qF "$state/" || continue
    kill "$process" 2>/dev/null
    for _ in $(seq 50); do
        [ -d "/proc/$process" ] || break
        sleep 0.1
    done
    kill -KILL "$process" 2>/dev/null
done
echo "slurm: $state is stopped"
