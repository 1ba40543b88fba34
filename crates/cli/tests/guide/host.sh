# Becomes the first process of a host of its own: a fresh root with this machine's /usr in it, read-only.
#   host.sh NAME FOLDER PROGRAM plain|systemd PACKAGING
set -e
name=$1 root=$2/root program=$3 kind=$4 packaging=$5
mount --make-rprivate /
hostname "$name"
mkdir -p "$root"
mount -t tmpfs -o mode=755 none "$root"
cd "$root"
mkdir -p usr etc var/log var/lib var/tmp root proc sys dev tmp run old
chmod 1777 tmp var/tmp
chmod 700 root
mount --bind /usr usr
mount -o remount,bind,ro usr
mount -t tmpfs -o mode=755 none usr/local/bin
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$folder"; done
touch root/tidegate
mount --bind "$program" root/tidegate
cp -r "$packaging" root/packaging
printf 'root:x:0:0:root:/root:/bin/bash\nmessagebus:x:100:100::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n' > etc/passwd
printf 'root:x:0:\nmessagebus:x:100:\nnogroup:x:65534:\n' > etc/group
printf '127.0.0.1 localhost\n' > etc/hosts
cp -a /etc/ld.so.cache /etc/alternatives etc/
mount -t proc proc proc
mount -t tmpfs -o mode=755 none dev
for node in null zero full random urandom tty; do
  touch "dev/$node"
  mount --bind "/dev/$node" "dev/$node"
done
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mkdir dev/shm
mount -t tmpfs none dev/shm
mount -t tmpfs -o mode=755 none run
mount -t sysfs -o ro sysfs sys
if [ "$kind" = systemd ]; then
  echo 0123456789abcdef0123456789abcdef > etc/machine-id
  mkdir -p etc/systemd/system sys/fs/cgroup
  mount -t tmpfs -o mode=755 none sys/fs/cgroup
  mount -t cgroup2 none sys/fs/cgroup
  ln -s /usr/lib/systemd/system/multi-user.target etc/systemd/system/default.target
  # What belongs to machines and not to hosts in a namespace.
  for unit in console-getty systemd-logind systemd-udevd systemd-networkd systemd-resolved systemd-timesyncd; do
    ln -s /dev/null "etc/systemd/system/$unit.service"
  done
  ln -s /dev/null etc/systemd/system/getty.target
fi
pivot_root . old
cd /
umount -l old
echo ready
if [ "$kind" = systemd ]; then
  exec env -i container=tidegate PATH=/usr/sbin:/usr/bin /usr/lib/systemd/systemd --log-target=null --show-status=false
fi
# A first process that only buries the orphans of the others.
exec < /dev/null > /dev/null 2>&1
while :; do sleep 60 & wait $!; done
