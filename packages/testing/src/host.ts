import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { HostNetwork } from './network.js';
import { cleanEnvironment, eventually, run } from './run.js';
import type { RunOptions, RunResult } from './run.js';

/** What a host is made of. */
export interface HostOptions {
  readonly name: string;
  /** What the daemon calls itself; its name by default. */
  readonly hostname?: string;
  readonly number: number;
  readonly network: HostNetwork;
  /** The folder that holds the bundled command and daemon. */
  readonly bundle: string;
  /** On a disk. */
  readonly dataDir: string;
  /** In memory. */
  readonly runDir: string;
  readonly logFile: string;
  /** What starts the daemon; its launcher by default. */
  readonly program?: readonly string[];
  /** Flags for every start. */
  readonly daemonArgs?: readonly string[];
  /** In front of every command, for example to become another user. */
  readonly prefix?: readonly string[];
}

/** One host of a test cluster: a daemon as a process of its own, and the command talking to it. */
export class Host {
  readonly name: string;
  readonly hostname: string;
  readonly address: string;
  readonly dataDir: string;
  readonly runDir: string;
  readonly logFile: string;
  readonly socketPath: string;
  readonly #options: HostOptions;
  #child: ChildProcess | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    this.name = options.name;
    this.hostname = options.hostname ?? options.name;
    this.address = options.network.addressOf(options.number);
    this.dataDir = options.dataDir;
    this.runDir = options.runDir;
    this.logFile = options.logFile;
    this.socketPath = join(options.runDir, 'conclave.sock');
  }

  /** Process id of the daemon, 0 when it does not run. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return (
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
    );
  }

  /** The command line of the daemon, as a person would type it. */
  daemonArgv(extra: readonly string[] = []): string[] {
    return [
      ...(this.#options.program ?? [join(this.#options.bundle, 'conclaved.js')]),
      '--data-dir',
      this.dataDir,
      '--run-dir',
      this.runDir,
      '--listen',
      this.address,
      '--hostname',
      this.hostname,
      ...(this.#options.daemonArgs ?? []),
      ...extra,
    ];
  }

  /** Starts the daemon without waiting; its output goes to the log file. */
  async spawn(extra: readonly string[] = []): Promise<ChildProcess> {
    await mkdir(this.dataDir, { recursive: true, mode: 0o700 });
    await mkdir(this.runDir, { recursive: true, mode: 0o700 });
    const argv = this.on(this.daemonArgv(extra));
    const log = openSync(this.logFile, 'a', 0o600);
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      env: cleanEnvironment(),
      stdio: ['ignore', log, log],
      // Its own group: a Ctrl-C at the terminal is the harness's to handle.
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    return child;
  }

  /** Starts the daemon and waits until its socket answers; throws at once when it ends instead. */
  async start(extra: readonly string[] = [], deadlineMs = 20_000): Promise<void> {
    const child = await this.spawn(extra);
    const ended = new Promise<'ended'>((resolve) => child.once('exit', () => resolve('ended')));
    const ready = eventually(
      `${this.name} answers`,
      async () => ((await answers(this.socketPath)) ? ('ready' as const) : undefined),
      deadlineMs,
    );
    if ((await Promise.race([ended, ready])) === 'ready') return;
    ready.catch(() => undefined);
    throw new Error(`${this.name} ended with ${child.exitCode}: ${await this.logTail()}`);
  }

  /** Sends a signal and waits until the process is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', deadlineMs = 20_000): Promise<number> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return child?.exitCode ?? 0;
    const ended = new Promise<number>((resolve) => {
      child.once('exit', (code) => resolve(code ?? 128));
    });
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
    const code = await ended;
    clearTimeout(timer);
    return code;
  }

  /** Lets the daemon outlive this process. */
  release(): void {
    this.#child?.unref();
  }

  /** Runs `conclave` on this host. */
  conclave(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const argv = [
      process.execPath,
      join(this.#options.bundle, 'conclave.js'),
      '--socket',
      this.socketPath,
      ...args,
    ];
    return run(this.on(argv), options);
  }

  /** Runs `conclave`, which must succeed, and answers what it printed. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await this.conclave(args, options);
    if (result.code !== 0) {
      throw new Error(
        `conclave ${args.join(' ')} ended with ${result.code}: ${result.stderr.trim()}`,
      );
    }
    return result.stdout;
  }

  /** Runs `conclave ... -o json`, which must succeed, and answers the value. */
  async json<T>(args: readonly string[], options: RunOptions = {}): Promise<T> {
    return JSON.parse(await this.ok([...args, '-o', 'json'], options)) as T;
  }

  /** The last lines of the daemon's log. */
  async logTail(lines = 15): Promise<string> {
    const text = await readFile(this.logFile, 'utf8').catch(() => '');
    return text.trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** A command line as it runs on this host. */
  on(argv: readonly string[]): string[] {
    return this.#options.network.on(this.#options.number, [
      ...(this.#options.prefix ?? []),
      ...argv,
    ]);
  }
}

/** True when something accepts connections on a unix socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const end = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
