# `conclave daemon` becomes the daemon's own program, which has to start with flags of its own.
if [ "${1-}" = daemon ]; then
  shift
  exec "$(dirname "$(readlink -f "$0")")/conclaved.js" "$@"
fi
# Values, recovery keys and keys of contexts pass through here: none of them into a core file.
ulimit -c 0
exec node "$0" "$@"
