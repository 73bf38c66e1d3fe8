# What a process cannot give itself once Node runs: the flags of the engine, a limit of 0 for core
# files, and fewer rights. The rights are those of deploy/systemd/conclaved-worker.service: of a
# manager nobody knows yet that it is one. Every way on is an exec, so the process stays the same
# for whoever started it: its id, its signals, its exit code.
umask 077
ulimit -c 0
rights=-all,+sys_admin,+sys_chroot,+setuid,+setgid,+setpcap,+chown,+dac_override,+fowner,+kill
rights=$rights,+sys_ptrace
set -- --disable-proto=throw --disallow-code-generation-from-strings --secure-heap=1048576 "$0" "$@"
if [ "$(id -u)" = 0 ] && setpriv --bounding-set "$rights" true 2>/dev/null; then
  exec setpriv --bounding-set "$rights" node "$@"
fi
exec node "$@"
