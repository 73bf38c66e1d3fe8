/**
 * The shell text around a task. It is constant: everything that varies comes as positional
 * parameters or, word by word, in variables `CV_W_0`, `CV_W_1`, ..., so that nothing is ever read
 * as shell text and no environment of a task reaches a tool of ours as its own: one variable could
 * load code into it. The last of the tools, env, gets it as words. So for the moment in which a task
 * starts its variables stand in command lines, which everybody on the host may read.
 */

/** Turns the words in the variables into positional parameters; `$n` is their number. */
const LOAD_WORDS = `
set --
while [ "$n" -gt 0 ]; do
  n=$((n - 1))
  eval "set -- \\"\\$CV_W_$n\\" \\"\\$@\\""
done
`;

/**
 * Supervises one task from inside its mount namespace: waits for the agent's word, makes the view
 * of the secrets, hides what belongs to the agent, starts the command in a session of its own, and
 * notes its status. Its working directory is the folder of the task, where it leaves
 * `failed` (which step), `started` (a line of /proc/PID/stat) and `exit` (the status).
 *
 * It is the watchdog of its task, too: an agent that is there kills it as soon as it reads the
 * status. When nobody does, it empties and unlinks the secret files of all generations.
 * Descriptors: 0 the agent's word, 1 and 3 the output of the task, 2 complaints of our tools, 4 the
 * task's files, which are out of sight by then.
 * Parameters: view, run folder, "mounted" when the tasks' folder is a mount, number of words,
 * seconds that an agent has to take over.
 */
export const SUPERVISE: string = `
view=$1 run=$2 tasks=$3 n=$4 patience=$5
note() { printf '%s\\n' "$2" >"$1.tmp" && mv "$1.tmp" "$1"; }
fail() { note failed "$1"; exit 125; }
trap '' HUP INT QUIT TERM USR1 USR2 PIPE TSTP TTIN TTOU
read -r word && [ "$word" = go ] || exit 0
exec </dev/null

show() {
  mount --bind "$view" "$1" || fail 'bind of /run/secrets'
  mount -o remount,bind,ro,nosuid,nodev,noexec "$1" || fail 'read-only /run/secrets'
  if [ "$tasks" = mounted ]; then
    umount -l "$run/tasks" || fail 'hiding the mounts of other tasks'
  fi
}
private_run() {
  stage=$run/stage
  mkdir -p "$stage" && mount -t tmpfs -o nosuid,nodev,mode=0755,size=1m tmpfs "$stage" &&
    mkdir "$stage/secrets" || fail 'private /run'
  show "$stage/secrets"
  for entry in /run/* /run/.[!.]*; do
    copy=$stage/\${entry#/run/}
    if [ "$entry" = /run/secrets ]; then
      continue
    elif [ -L "$entry" ]; then
      ln -s "$(readlink "$entry")" "$copy"
    elif [ -d "$entry" ]; then
      mkdir "$copy" && mount --rbind "$entry" "$copy" || rmdir "$copy"
    elif [ -e "$entry" ]; then
      : >"$copy" && mount --bind "$entry" "$copy" || rm -f "$copy"
    fi
  done 2>/dev/null
  mount --rbind "$stage" /run || fail 'private /run'
}

wipe() {
  cd -P /proc/self/fd/4 || exit 0
  for file in view/.gen-*/* old/.gen-*/*; do
    if [ -f "$file" ] && [ ! -L "$file" ]; then
      true >"$file"
      rm -f "$file"
    fi
  done
}

exec 4<"\${view%/*}" || fail 'opening the files'
[ ! -L /run/secrets ] || fail '/run/secrets is a link'
if [ -d /run/secrets ] || mkdir -m 0755 /run/secrets 2>/dev/null; then
  show /run/secrets
else
  private_run
fi
mount -t tmpfs -o ro,nosuid,nodev,noexec,size=4k,mode=0555 tmpfs "$run" || fail 'hiding the agent'
${LOAD_WORDS}
(
  umask 022
  ulimit -c 0
  ulimit -S -n 1024 2>/dev/null
  exec setsid "$@" 2>&3 3>&- 4<&-
) &
main=$!
exec 3>&- >/dev/null
IFS= read -r stat <"/proc/$main/stat"
note started "$stat"
wait "$main"
note exit "$?"
sleep "$patience"
wipe
`;

/** Runs the words in place of itself. Parameter: their number. */
export const RUN_WORDS: string = `
n=$1
${LOAD_WORDS}
exec "$@"
`;

/** The variables that carry `words` to {@link SUPERVISE} and {@link RUN_WORDS}. */
export function wordVariables(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.map((word, index) => [`CV_W_${index}`, word]));
}
