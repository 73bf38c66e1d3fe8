import { randomFillSync, randomInt } from 'node:crypto';
import { cp, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from '@jest/globals';
import { connectLocal } from '@conclave/client';
import type { ClusterStatus, ConclaveClient, SetSecretOptions, Task } from '@conclave/client';
import { openSealed, SecretBytes } from '@conclave/sealed';
import { eventually, Farm } from '@conclave/testing';
import type { FarmOptions, Host, RunResult } from '@conclave/testing';

/** The bundled command and daemon, built by `npm test` when stale. */
export const BUNDLE: string =
  process.env['CONCLAVE_BUNDLE'] ?? join(import.meta.dirname, '../../packages/cli/bundle');

/** Port of the join listener. */
export const JOIN_PORT = 7421;

/** Milliseconds for what may take several elections on a busy machine. */
const PATIENCE_MS = 60_000;

/** What a cluster is made of. */
export interface ClusterOptions extends Omit<FarmOptions, 'names' | 'bundle'> {
  readonly managers: number;
  readonly workers: number;
  /** Hosts with a daemon that is a member of nothing. */
  readonly spare?: readonly string[];
  /** What opens the keys of managers after a restart; default `host`, empty: nothing. */
  readonly autoUnlock?: string;
}

interface WaitOptions {
  readonly from?: Host;
  /** A host that nobody hears from: what it runs does not count. */
  readonly without?: Host;
  readonly deadlineMs?: number;
}

/** A cluster of real processes and what tests want to know of it. */
export class Cluster {
  readonly farm: Farm;
  readonly managers: readonly Host[];
  readonly workers: readonly Host[];
  /** The text of the recovery key. */
  recoveryKey = '';
  readonly #autoUnlock: readonly string[];
  readonly #clients = new Map<Host, Promise<ConclaveClient>>();

  private constructor(farm: Farm, { managers, workers, autoUnlock = 'host' }: ClusterOptions) {
    const named = (letter: string, count: number): Host[] =>
      numbered(letter, count).map((name) => farm.host(name));
    this.farm = farm;
    this.managers = named('m', managers);
    this.workers = named('w', workers);
    this.#autoUnlock = autoUnlock === '' ? [] : ['--auto-unlock', autoUnlock];
  }

  /** Starts all daemons at once, then makes them members: m1, m2, ... and w1, w2, ... */
  static async start(options: ClusterOptions): Promise<Cluster> {
    await openSealed();
    const { managers, workers, spare = [], autoUnlock: _, ...rest } = options;
    const farm = await Farm.create({
      ...rest,
      bundle: BUNDLE,
      names: [...numbered('m', managers), ...numbered('w', workers), ...spare],
    });
    const cluster = new Cluster(farm, options);
    try {
      await Promise.all(farm.hosts.map((host) => host.start([], PATIENCE_MS)));
      await cluster.#form();
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** The manager that the others joined. */
  get seed(): Host {
    const [first] = this.managers;
    if (first === undefined) throw new Error('a cluster has a manager');
    return first;
  }

  host(name: string): Host {
    return this.farm.host(name);
  }

  /** Where other hosts join. */
  joinAddress(host: Host = this.seed): string {
    return `${host.address}:${JOIN_PORT}`;
  }

  /** A fresh token for one host. */
  async token(role: 'worker' | 'manager', ...options: string[]): Promise<string> {
    return (await this.seed.ok(['token', 'create', role, '-q', ...options])).trim();
  }

  /** Lets a host that is a member of nothing join in its role, and waits until all are there. */
  async admit(host: Host): Promise<void> {
    const role = this.managers.includes(host) ? 'manager' : 'worker';
    const from = await this.leader(this.managers.filter((other) => other !== host));
    const token = (await from.ok(['token', 'create', role, '-q'])).trim();
    const { code, stderr } = await this.join(host, token, this.joinAddress(from));
    if (code !== 0) throw new Error(`${host.name} did not join: ${stderr}`);
    await this.whole();
  }

  /**
   * For after a test, whether it passed or not: wakes and starts what was stopped, mends every link
   * and lets hosts that are out join again, so that one failure stays one failure.
   */
  async mend(): Promise<void> {
    const { hosts, network } = this.farm;
    for (const host of hosts) if (host.isRunning) process.kill(host.pid, 'SIGCONT');
    if (network.kind === 'namespaces') {
      await Promise.all(hosts.map((_host, number) => network.setLink(number, true)));
    }
    const stopped = hosts.filter((host) => !host.isRunning);
    await Promise.all(stopped.map((host) => host.start([], PATIENCE_MS)));
    const listed = new Set<string>();
    const { nodes } = await this.client(await this.leader());
    for await (const { id } of nodes.list()) listed.add(id);
    for (const host of [...this.managers, ...this.workers]) {
      const nodeId = await eventually(`${host.name} knows who it is`, async () => {
        const { state, nodeId: id } = await (await this.client(host)).local.status();
        return state === 'joining' ? undefined : id;
      });
      if (listed.has(nodeId)) continue;
      if (nodeId !== '') await host.ok(['leave', '--yes', '--force']);
      await this.admit(host);
    }
    await this.whole();
  }

  /** Runs `conclave join` with the token on standard input. */
  join(host: Host, token: string, address: string = this.joinAddress()): Promise<RunResult> {
    const options = token.startsWith('cvj1-m-') ? this.#autoUnlock : [];
    return host.conclave(['join', address, '-', ...options], { input: token });
  }

  /** A client of the daemon of a host, for what is asked again and again. */
  async client(host: Host = this.seed): Promise<ConclaveClient> {
    const known = this.#clients.get(host);
    if (known !== undefined) return known;
    const opened = connect(host.socketPath);
    this.#clients.set(host, opened);
    opened.catch(() => this.#clients.delete(host));
    return opened;
  }

  /** What a manager knows of the cluster. */
  async status(host: Host = this.seed): Promise<ClusterStatus> {
    return (await this.client(host)).cluster.status({ deadlineMs: 3_000 });
  }

  /** The host that one of `from` believes to be the leader, with a quorum behind it. */
  async leader(from: readonly Host[] = this.managers, deadlineMs = 15_000): Promise<Host> {
    const ask = async (host: Host): Promise<Host | undefined> => {
      const { hasQuorum, managers } = await this.status(host);
      const name = managers.find(({ isLeader }) => isLeader)?.hostname;
      return hasQuorum && name !== undefined ? this.host(name) : undefined;
    };
    const look = async (): Promise<Host | undefined> => {
      const asked = await Promise.allSettled(from.filter((host) => host.isRunning).map(ask));
      const named = asked.map((answer) =>
        answer.status === 'fulfilled' ? answer.value : undefined,
      );
      return named.find((host) => host !== undefined && from.includes(host));
    };
    return eventually('a leader', look, deadlineMs);
  }

  /** Waits until every running manager has applied what the leader has committed. */
  async level(from: readonly Host[] = this.managers, deadlineMs = PATIENCE_MS): Promise<void> {
    await eventually(
      'the managers are level',
      async () => {
        const { managers, commitIndex } = await this.status(await this.leader(from));
        const isLevel = managers
          .filter(({ hostname }) => from.some(({ name }) => name === hostname))
          .every(({ matchIndex }) => matchIndex >= commitIndex);
        return isLevel ? true : undefined;
      },
      deadlineMs,
    );
  }

  /** Sets a secret without a process of the command; answers its version. */
  async set(name: string, value: Uint8Array | string, options: SetOptions = {}): Promise<number> {
    const { from = this.seed, ...rest } = options;
    const secret = SecretBytes.take(Uint8Array.from(Buffer.from(value as string)));
    try {
      return (await (await this.client(from)).secrets.set(name, secret, rest)).version;
    } finally {
      secret.wipe();
    }
  }

  /** Tasks of a service, ended ones too, in order of slot and age. */
  async tasks(service: string, from: Host = this.seed): Promise<Task[]> {
    const client = await this.client(from);
    const tasks: Task[] = [];
    for await (const task of client.tasks.list({ service })) tasks.push(task);
    return tasks.sort((a, b) => a.slot - b.slot || a.createdAtMs - b.createdAtMs);
  }

  /** Waits until exactly `count` tasks run and none is on its way. */
  async running(service: string, count: number, options: WaitOptions = {}): Promise<Task[]> {
    const { from = this.seed, without, deadlineMs = PATIENCE_MS } = options;
    return eventually(
      `${count} tasks of ${service} run`,
      async () => {
        const live = (await this.tasks(service, from)).filter(
          (task) => !isEnded(task) && task.nodeHostname !== without?.name,
        );
        const isSettled = live.every(
          ({ state, desiredState }) => state === 'RUNNING' && desiredState === 'RUNNING',
        );
        if (isSettled && live.length === count) return live;
        throw new Error(live.map((task) => `${task.state} ${task.nodeHostname}`).join(', '));
      },
      deadlineMs,
    );
  }

  /** Waits until a task of the service passes `test`. */
  async task(service: string, test: (task: Task) => boolean, deadlineMs = 30_000): Promise<Task> {
    return eventually(
      `a task of ${service}`,
      async () => {
        const tasks = await this.tasks(service);
        const found = tasks.find(test);
        if (found !== undefined) return found;
        throw new Error(tasks.map(({ state, error }) => `${state} ${error}`).join(', '));
      },
      deadlineMs,
    );
  }

  /** The folder of a task below the run folder of its host. */
  folderOf(task: Task): string {
    return join(this.host(task.nodeHostname).runDir, 'tasks', task.id);
  }

  /** Process id of the main process of a task. */
  async pidOf(task: Task): Promise<number> {
    const pid = Number.parseInt(await readFile(join(this.folderOf(task), 'started'), 'utf8'), 10);
    if (!Number.isSafeInteger(pid)) throw new Error(`task ${task.id} was not started`);
    return pid;
  }

  /** A file below /run/secrets as the task sees it. */
  async fileOf(task: Task, target: string): Promise<string> {
    return join(`/proc/${await this.pidOf(task)}/root/run/secrets`, target);
  }

  async contentOf(task: Task, target: string): Promise<Buffer> {
    return readFile(await this.fileOf(task, target));
  }

  /** Waits until the task's file has this content. */
  async arrives(
    task: Task,
    target: string,
    options: { readonly value: Uint8Array | string; readonly deadlineMs?: number },
  ): Promise<void> {
    const wanted = Buffer.from(options.value as string);
    const path = await this.fileOf(task, target);
    await eventually(
      `the new ${target} in task ${task.id}`,
      async () => ((await readFile(path)).equals(wanted) ? true : undefined),
      options.deadlineMs,
    );
  }

  /** Lines that the tasks of a service have printed. */
  async printed(service: string): Promise<string[]> {
    return (await this.seed.ok(['service', 'logs', service])).split('\n').filter(Boolean);
  }

  async close(): Promise<void> {
    const clients = await Promise.allSettled(this.#clients.values());
    for (const client of clients) {
      if (client.status === 'fulfilled') await client.value.close();
    }
    await this.#keepLogs();
    await this.farm.close();
  }

  /** For whoever looks for a cause: the logs of all daemons outlive the farm on demand. */
  async #keepLogs(): Promise<void> {
    const folder = process.env['CONCLAVE_TEST_LOGS'];
    if (folder === undefined) return;
    for (const { name, logFile } of this.farm.hosts) {
      await cp(logFile, join(folder, basename(this.farm.folder), `${name}.log`));
    }
  }

  async #form(): Promise<void> {
    const made = await this.seed.json<{ recoveryKey: string[] }>(['init', ...this.#autoUnlock]);
    this.recoveryKey = made.recoveryKey[0] ?? '';
    const joined = async (host: Host, token: string): Promise<void> => {
      const result = await this.join(host, token);
      if (result.code !== 0) throw new Error(`${host.name} did not join: ${result.stderr}`);
    };
    const others = this.managers.slice(1);
    if (others.length > 0) {
      const token = await this.token('manager', '--uses', String(others.length));
      // One change of membership at a time.
      for (const host of others) await joined(host, token);
    }
    if (this.workers.length > 0) {
      const token = await this.token('worker', '--uses', String(this.workers.length));
      await Promise.all(this.workers.map((host) => joined(host, token)));
    }
    await this.whole();
  }

  /** Waits until every host is READY and every manager votes. */
  async whole(deadlineMs = PATIENCE_MS): Promise<void> {
    await eventually(
      'every host is ready',
      async () => {
        const { managers, nodesReady } = await this.status();
        const isWhole =
          nodesReady === this.managers.length + this.workers.length &&
          managers.every(({ membership, reachable }) => membership === 'voter' && reachable);
        if (isWhole) return true;
        throw new Error(`${nodesReady} ready, ${JSON.stringify(managers)}`);
      },
      deadlineMs,
    );
  }
}

function numbered(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, number) => `${letter}${number + 1}`);
}

/** From which host, and the settings of the client. */
export interface SetOptions extends SetSecretOptions {
  readonly from?: Host;
}

const ENDED = new Set(['COMPLETE', 'SHUTDOWN', 'FAILED', 'REJECTED', 'REMOVE', 'ORPHANED']);

/** True when the task has come to its end, whatever end. */
export function isEnded(task: Task): boolean {
  return ENDED.has(task.state);
}

/** What a refused command shows: its exit code, one sentence and one hint. */
export interface Refusal {
  readonly code: number;
  readonly error: string;
  readonly hint: string;
}

/** Reads what a command answered that must have been refused. */
export function refusalOf(result: RunResult): Refusal {
  const line = (label: string): string =>
    new RegExp(`^${label}: (.*)$`, 'm').exec(result.stderr)?.[1] ?? '';
  return { code: result.code, error: line('error'), hint: line('hint') };
}

/** Stands where a value or a token would; must not come back in any text. */
export const PLANTED = 'planted-4711-value';

/** A call that must fail with the code, in words that fit, without what was planted. */
export async function expectRefused(
  act: Promise<unknown>,
  code: string,
  message: RegExp = /./,
): Promise<void> {
  const failure = await act.then(
    () => 'nothing failed',
    (error: unknown) => error as Error,
  );
  expect(failure).toMatchObject({ code, message: expect.stringMatching(message) });
  expect((failure as Error).message).not.toContain(PLANTED);
}

/** True when this process is root; without it namespaces and mounts cannot be used. */
export const isRoot: boolean = process.getuid?.() === 0;

/** A client of a daemon, with the clock, timers and randomness of this process. */
export function connect(socketPath: string): Promise<ConclaveClient> {
  return connectLocal({
    socketPath,
    userId: process.getuid?.() ?? 0,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: {
      after: (delayMs, callback) => cancelling(setTimeout(callback, delayMs)),
      every: (periodMs, callback) => cancelling(setInterval(callback, periodMs)),
    },
    random: {
      bytes: (count) => randomFillSync(new Uint8Array(new ArrayBuffer(count))),
      below: (limit) => (limit === 1 ? 0 : randomInt(limit)),
    },
  });
}

function cancelling(timer: NodeJS.Timeout): { cancel: () => void } {
  return { cancel: () => clearTimeout(timer) };
}
