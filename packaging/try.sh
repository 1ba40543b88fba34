# Installs the package on a copy of this host that nobody keeps, looks at it, removes it again.
#   unshare --mount sh -e packaging/try.sh FILE.deb VERSION
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root
mount --bind /proc /mnt/root/proc
mount --bind /dev /mnt/root/dev
cp "$1" /mnt/root/tidegate.deb
cat > /mnt/root/try.sh <<'END'
set -e
dpkg --install /tidegate.deb
test "$(tidegate --version)" = "tidegate $1"
getent passwd tidegate tidegate-agent > /dev/null
test "$(stat -c '%U %a' /var/lib/tidegate)" = "tidegate 700"
systemd-analyze verify --man=no /usr/lib/systemd/system/tidegate-server.service /usr/lib/systemd/system/tidegate-agent.service
setpriv --reuid=tidegate --regid=tidegate --clear-groups env HOME=/var/lib/tidegate tidegate doctor --server http://127.0.0.1:9 --data /var/lib/tidegate > /doctor || test $? = 7
grep -q 'server_reached' /doctor
test -f /usr/share/man/man1/tidegate-doctor.1.gz
echo '# mine' >> /etc/default/tidegate-agent
dpkg --install /tidegate.deb
grep -q '# mine' /etc/default/tidegate-agent
touch /var/lib/tidegate/mine
dpkg --remove tidegate
test ! -e /usr/bin/tidegate
test -f /etc/default/tidegate-agent
dpkg --purge tidegate
test ! -e /etc/default/tidegate-agent
test -f /var/lib/tidegate/mine
test ! -e /var/lib/tidegate-agent
END
chroot /mnt/root sh /try.sh "$2"
