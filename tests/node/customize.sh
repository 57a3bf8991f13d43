#!/bin/sh
# mmdebstrap calls this with the root directory of the new system.
set -eu
root=$1

# Every node gets its own identity when it is made.
rm -f "$root"/etc/ssh/ssh_host_*
: > "$root/etc/machine-id"
: > "$root/etc/hostname"

# A sealed site has no resolver. glibc then asks 127.0.0.1, where nobody answers.
printf '# no resolver at this site\n' > "$root/etc/resolv.conf"

# Debian's own timers ask its mirrors twice a day; a host at a sealed site has them off.
for unit in apt-daily.timer apt-daily-upgrade.timer; do
    ln -s /dev/null "$root/etc/systemd/system/$unit"
done
