import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';

/** What a command did. */
export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Uint8Array | string;
  readonly env?: Record<string, string>;
  readonly timeoutMs?: number;
  readonly cwd?: string;
  /** Sees what the command prints as it comes, for commands that do not end by themselves. */
  readonly onStdout?: (chunk: Buffer) => void;
}

/** Runs a command to its end; a signal or a timeout counts as code 128 and more. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [command = '', ...args] = argv;
  const child = spawn(command, args, {
    env: options.env ?? cleanEnvironment(),
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
    options.onStdout?.(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that does not read its input closes the pipe; that is its right.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const failed = new Promise<string>((resolve) => child.once('error', (e) => resolve(e.message)));
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const outcome = await Promise.race([failed, ended]);
  if (typeof outcome === 'string') return { code: 127, stdout: '', stderr: outcome };
  return {
    code: outcome[0] ?? 128,
    stdout: Buffer.concat(stdout).toString('utf8'),
    stderr: Buffer.concat(stderr).toString('utf8'),
  };
}

/** Runs a command that must succeed. */
export async function runOk(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(argv, options);
  if (result.code !== 0) {
    throw new Error(`${argv.join(' ')} ended with ${result.code}: ${result.stderr.trim()}`);
  }
  return result.stdout;
}

/**
 * The environment that processes of the harness get: nothing of the caller's but the path, and
 * this Node before any other.
 */
export function cleanEnvironment(): Record<string, string> {
  const path =
    process.env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return {
    PATH: `${dirname(process.execPath)}:${path}`,
    HOME: process.env['HOME'] ?? '/',
    LANG: 'C.UTF-8',
  };
}

/** Milliseconds between two looks at other processes. */
const LOOK_EVERY_MS = 25;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));

/**
 * Asks again until `look` answers something, at most `deadlineMs`. Only for what other processes
 * do, where no event reaches us.
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  deadlineMs = 30_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await look();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) {
      const reason = last instanceof Error ? `: ${last.message}` : '';
      throw new Error(`not within ${deadlineMs} ms: ${what}${reason}`);
    }
    await pause();
  }
}

/**
 * Looks again and again for `ms` milliseconds; the first failure of `look` is the failure of all.
 * For what must not happen, as `eventually` is for what must.
 */
export async function holds(ms: number, look: () => Promise<void> | void): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    const isLast = performance.now() >= end;
    await look();
    if (isLast) return;
    await pause();
  }
}
