#!/usr/bin/env bash
# A real SLURM of two virtual nodes on this machine alone, without systemd, for tests and for trying profiles out:
#   bash tests/slurm/up.sh /tmp/slurm && . /tmp/slurm/env.sh        bash tests/slurm/down.sh /tmp/slurm
# Where Debian's packages are missing it installs them, as root. Everything else lies in the folder that is named,
# whose path should be short: SLURM makes sockets there.
set -euo pipefail
umask 022
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
state=$(realpath -m "${1:-/tmp/slurm}")
nodes=2
port=${SLURM_TEST_PORT:-16817} # of the controller; node i listens on the i-th after it
fail() {
    echo "slurm: $*" >&2
    exit 1
}

if ! command -v slurmctld slurmd sbatch munged >/dev/null; then
    [ "$(id -u)" = 0 ] || fail "slurm-wlm and munge are not installed; run this once as root"
    # RUNLEVEL=1: the packages shall not start daemons of their own
    apt-get update -qq
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge </dev/null
fi

mkdir -p "$state"/{munge,control,spool,log,run}
if [ -s "$state/run/slurmctld.pid" ] && kill -0 "$(cat "$state/run/slurmctld.pid")" 2>/dev/null; then
    fail "$state is running already; stop it with down.sh"
fi
# Daemons bind to what the host's name resolves to: loopback alone, where /etc/hosts says so.
local_only=
case $(getent ahostsv4 "$(uname -n)" | head -n 1) in
127.*) local_only="CommunicationParameters=NoInAddrAny,NoCtldInAddrAny" ;;
*) echo "slurm: $(uname -n) is not 127.x in /etc/hosts, so the daemons listen on all interfaces" >&2 ;;
esac
cpus=2
megabytes=4000
{
    cat <<END
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
$local_only
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$state/munge/socket,cred_expire=5
SlurmctldPidFile=$state/run/slurmctld.pid
SlurmctldLogFile=$state/log/slurmctld.log
StateSaveLocation=$state/control
SlurmdPidFile=$state/run/slurmd-%n.pid
SlurmdLogFile=$state/log/slurmd-%n.log
SlurmdSpoolDir=$state/spool/%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=$((megabytes / cpus))
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdTimeout=10
KillWait=5
ReturnToService=2
MailProg=/bin/true
END
    for node in $(seq "$nodes"); do
        echo "NodeName=n$node NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + node)) CPUs=$cpus RealMemory=$megabytes"
    done
    echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 State=UP"
} >"$state/slurm.conf"
echo "export SLURM_CONF='$state/slurm.conf'" >"$state/env.sh"
export SLURM_CONF=$state/slurm.conf

[ -s "$state/munge/key" ] || (umask 077 && head -c 128 /dev/urandom >"$state/munge/key")
munged --force --origin=127.0.0.1 --key-file="$state/munge/key" --socket="$state/munge/socket" \
    --seed-file="$state/munge/seed" --pid-file="$state/run/munged.pid" --log-file="$state/log/munged.log"
slurmctld -c -f "$SLURM_CONF" # -c: with an empty queue
for node in $(seq "$nodes"); do
    mkdir -p "$state/spool/n$node"
    slurmd -f "$SLURM_CONF" -N "n$node"
done
for _ in $(seq 150); do
    ready=$(sinfo -h -N -o '%T' 2>/dev/null | grep -cE '^(idle|mixed|allocated)$' || true)
    if [ "$ready" = "$nodes" ]; then
        echo "slurm: $nodes nodes are ready; . $state/env.sh"
        exit 0
    fi
    sleep 0.2
done
sinfo -N -l >&2 || true
fail "no nodes after 30 s; see $state/log"
