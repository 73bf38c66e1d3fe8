import { spawn } from 'node:child_process';
import { ConclaveError } from '@conclave/kernel';
import type { Timers } from '@conclave/kernel';
import { SecretBytes } from '@conclave/sealed';

/** Milliseconds that a helper may take. */
const HELPER_MS_MAX = 10_000;
/** Bytes that a helper may answer. */
const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * Runs a helper with bytes on its standard input and answers what it printed. What it says on
 * standard error goes nowhere: it could be a key. Not wiped: the input.
 * @throws CV_UNLOCK_FAILED when it cannot be started, fails, says too much or takes too long
 */
export function runHelper(
  argv: readonly [string, ...string[]],
  input: SecretBytes,
  timers: Timers,
): Promise<SecretBytes> {
  const [command, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: '/',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      stdio: ['pipe', 'pipe', 'ignore'],
      // A group of its own, so that what it started ends with it.
      detached: true,
    });
    const parts: SecretBytes[] = [];
    let size = 0;
    let isOver = false;
    const end = (failure?: string): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      if (failure === undefined) resolve(joined(parts, size));
      else reject(new ConclaveError('CV_UNLOCK_FAILED', `the helper ${command} ${failure}`));
      for (const part of parts) part.wipe();
    };
    const kill = (why: string): void => {
      end(why);
      child.stdout.destroy();
      if (child.pid !== undefined) killGroup(child.pid);
    };
    const timer = timers.after(HELPER_MS_MAX, () => kill(`took more than ${HELPER_MS_MAX} ms`));
    child.once('error', () => end('cannot be started'));
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (!isOver) parts.push(SecretBytes.take(chunk));
      if (size > ANSWER_BYTES_MAX) kill(`answered more than ${ANSWER_BYTES_MAX} bytes`);
    });
    child.once('close', (code) => end(code === 0 ? undefined : `ended with ${code ?? 'a signal'}`));
    // A helper that does not read its input closes the pipe; that is its right.
    child.stdin.on('error', () => undefined);
    const copy = SecretBytes.allocate(input.size);
    copy.use((target) => {
      input.use((view) => target.set(view));
      child.stdin.end(target, () => copy.wipe());
    });
  });
}

function joined(parts: readonly SecretBytes[], size: number): SecretBytes {
  const whole = SecretBytes.allocate(size);
  let offset = 0;
  for (const part of parts) {
    whole.use((target) => part.use((view) => target.set(view, offset)));
    offset += part.size;
  }
  return whole;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}
