# `conclave daemon` becomes the daemon's own program, which has to start with flags of its own.
if [ "${1-}" = daemon ]; then
  shift
  exec "$(dirname "$(readlink -f "$0")")/conclaved.js" "$@"
fi
exec node "$0" "$@"
