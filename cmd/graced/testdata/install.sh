# install.sh ROOT [BIN]: the files of Debian's package supervisor in a root directory of their own, with the programs of BIN in the place
# of its programs, and the commands of its unit and of its init script in there. Prints what came of them.
#
# It is process 1 of a pid namespace and has a mount namespace of its own: with its end everything is gone.
set -eu
root=$1 bin=${2:-}

mount --make-rprivate /
mount -t tmpfs none "$root"
cd "$root"
mkdir etc proc dev tmp usr run var var/log var/log/supervisor
chmod 1777 tmp
ln -s /run var/run
mount --bind /usr usr
for d in bin sbin lib lib32 lib64 libx32; do
	if [ -L "/$d" ]; then cp -P "/$d" .; elif [ -d "/$d" ]; then mkdir "$d" && mount --bind "/$d" "$d"; fi
done
mount -t proc none proc
for device in null zero urandom; do
	: >"dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
cp -a /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache etc
dpkg -L supervisor | while read -r file; do
	case $file in /etc/*) if [ -f "$file" ]; then cp --parents "$file" .; fi ;; esac
done
unit=$(dpkg -L supervisor | grep '\.service$')
if [ -n "$bin" ]; then
	mount --bind "$bin/graced" usr/bin/supervisord
	mount --bind "$bin/gracectl" usr/bin/supervisorctl
fi
mkdir -p etc/supervisor/conf.d
printf '[program:p]\ncommand=sleep 1000\nstartsecs=0\n' >etc/supervisor/conf.d/p.conf

# inside runs a command in the root directory, with a clean environment as services have it.
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C chroot . "$@"; }
# line prints a command of the unit, without its variables.
line() { sed -n "s/^$1=//p" "$unit" | sed 's/\$OPTIONS//'; }
# until_ok repeats a command until it succeeds, for half a minute.
until_ok() {
	for _ in $(seq 300); do
		if "$@" >/dev/null 2>&1; then return 0; fi
		sleep 0.1
	done
	echo "waited in vain: $*"
	return 1
}
running() { [ "$(inside supervisorctl pid p)" -gt 0 ]; }
ended() { ! kill -0 "$1"; }
report() { # TITLE COMMAND...
	echo "== $1"
	shift
	code=0
	"$@" 2>&1 || code=$?
	echo "exit $code"
}
files() { (cd "$root" && ls -A run var/log/supervisor | sed 's/-[a-z0-9_]\{8\}\.log/-RANDOM.log/'); }

echo "=== the unit"
# shellcheck disable=SC2046
inside $(line ExecStart) >"$root/tmp/out" 2>&1 &
daemon=$!
until_ok running
report files files
report status inside supervisorctl status
pid=$(inside supervisorctl pid) child=$(inside supervisorctl pid p)
# shellcheck disable=SC2046
report reload inside $(line ExecReload)
changed() { now=$(inside supervisorctl pid p) && [ "$now" -gt 0 ] && [ "$now" != "$child" ]; }
until_ok changed
echo "pid after reload: $([ "$(inside supervisorctl pid)" = "$pid" ] && echo the same)"
# shellcheck disable=SC2046
report stop inside $(line ExecStop)
report "main process" wait "$daemon"
report output cat "$root/tmp/out"
report files files

echo "=== the init script"
init() {
	report "$1" inside /etc/init.d/supervisor "$1"
}
init status
init start
until_ok running
init status
report files files
main=$(cat run/supervisord.pid)
init start
init force-reload
until_ok ended "$main"
init status
init start
until_ok running
main=$(cat run/supervisord.pid)
init stop
until_ok ended "$main"
init status
init stop
init nonsense
report files files
report log cat var/log/supervisor/supervisord.log

echo "=== the log in syslog"
python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
with open(sys.argv[2], "wb", 0) as f:
    while True:
        f.write(s.recv(65536).rstrip(b"\n") + b"\n")' dev/log tmp/syslog &
until_ok test -S dev/log
inside /usr/bin/supervisord -n -s -c /etc/supervisor/supervisord.conf -l syslog >tmp/out 2>&1 &
daemon=$!
until_ok running
report tail inside supervisorctl maintail
inside supervisorctl shutdown
report "main process" wait "$daemon"
report output cat tmp/out
report syslog sed 's/^\(<[0-9]*>\)... .. ..:..:.. \([a-z]*: \)....-..-.. ..:..:..,... /\1TIME \2TIME /' tmp/syslog
