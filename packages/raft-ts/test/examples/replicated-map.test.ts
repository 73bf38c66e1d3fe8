import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const EXAMPLE = join(import.meta.dirname, '../../examples/replicated-map');
const TSX = import.meta.resolve('tsx');
const IDS = [1, 2, 3];
const DEADLINE_MS = 60_000;

/** Of a write, of a read, or a text that says what is wrong. */
type Answer = { readonly outcome: string } | { readonly value: unknown } | string;

/** A member as a process, behind a port of ours that stays the same when it is started again. */
class Member {
  readonly id: number;
  readonly #folder: string;
  readonly #door: Server;
  #port = 0;
  #process: ChildProcess | undefined;

  constructor(id: number, folder: string) {
    this.id = id;
    this.#folder = folder;
    this.#door = createServer((inside) => {
      const outside = connect(this.#port, '127.0.0.1');
      for (const socket of [inside, outside]) socket.on('error', () => socket.destroy());
      outside.on('close', () => inside.destroy());
      inside.on('close', () => outside.destroy());
      inside.pipe(outside).pipe(inside);
    });
  }

  /** Opens the port under which the others find this member. */
  async open(): Promise<void> {
    this.#door.listen(0, '127.0.0.1');
    await once(this.#door, 'listening');
  }

  get address(): string {
    return `${this.id}=127.0.0.1:${(this.#door.address() as AddressInfo).port}`;
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  async start(members: readonly Member[]): Promise<void> {
    const peers = members.map((peer) => (peer === this ? `${this.id}=127.0.0.1:0` : peer.address));
    const args = ['--conditions', '@conclave/source', '--import', TSX];
    const program = [
      join(EXAMPLE, 'member.ts'),
      `${this.id}`,
      join(this.#folder, `${this.id}.log`),
    ];
    const { NODE_OPTIONS: _, ...env } = process.env;
    const child = spawn(process.execPath, [...args, ...program, ...peers], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env,
    });
    this.#process = child;
    for await (const line of createInterface({ input: child.stdout })) {
      this.#port = (JSON.parse(line) as AddressInfo).port;
      return;
    }
    throw new Error(`member ${this.id} did not start`);
  }

  /** SIGKILL: the process gets no chance to write or to say anything. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) return;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  async close(): Promise<void> {
    await this.kill();
    this.#door.close();
  }

  /** One request on a connection of its own. */
  async ask(request: object): Promise<Answer> {
    const socket = connect(this.#port, '127.0.0.1');
    try {
      socket.write(`${JSON.stringify(request)}\n`);
      for await (const line of createInterface({ input: socket })) {
        return JSON.parse(line) as Answer;
      }
      throw new Error('no answer');
    } finally {
      socket.destroy();
    }
  }
}

describe('the replicated map', () => {
  let folder: string;
  let members: Member[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'raft-map-'));
    members = IDS.map((id) => new Member(id, folder));
    await Promise.all(members.map((member) => member.open()));
    await Promise.all(members.map((member) => member.start(members)));
  }, DEADLINE_MS);
  afterEach(async () => {
    await Promise.all(members.map((member) => member.close()));
    await rm(folder, { recursive: true });
  });

  /** Writes through whoever leads, and says who that was. The key is ours alone: a retry is safe. */
  async function set(key: string, value: string): Promise<Member> {
    for (;;) {
      for (const member of members.filter(({ isUp }) => isUp)) {
        const result = await member.ask({ set: [key, value] }).catch(() => undefined);
        if (typeof result !== 'object' || !('outcome' in result) || result.outcome !== 'applied')
          continue;
        // The next one asks the leader first.
        members = [member, ...members.filter((other) => other !== member)];
        return member;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function get(member: Member, key: string): Promise<unknown> {
    for (;;) {
      const answer = await member.ask({ get: key });
      if (typeof answer === 'object' && 'value' in answer) return answer.value;
    }
  }

  async function snapshotCount(): Promise<number> {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.log'));
    const logs = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    return logs.filter((log) => log.includes('"snapshot":')).length;
  }

  test(
    'keeps what it acknowledged when the leader and when everybody is killed',
    async () => {
      const leader = await set('before', 'one');
      await leader.kill();
      const others = members.filter((member) => member !== leader);
      for (const member of others) expect(await get(member, 'before')).toBe('one');
      expect(others).toContain(await set('meanwhile', 'two'));

      await leader.start(members);
      expect(await get(leader, 'before')).toBe('one');
      expect(await get(leader, 'meanwhile')).toBe('two');
      expect(await get(leader, 'never')).toBeNull();

      // Enough for snapshots, so that the state comes back from one and the log behind it.
      const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
      while (keys.length > 0) await Promise.all(keys.splice(0, 50).map((key) => set(key, key)));
      expect(await snapshotCount()).toBeGreaterThan(0);
      await Promise.all(members.map((member) => member.kill()));
      await Promise.all(members.map((member) => member.start(members)));
      for (const member of members) {
        expect(await get(member, 'before')).toBe('one');
        expect(await get(member, 'k299')).toBe('k299');
      }
    },
    DEADLINE_MS,
  );
});

test('the example has less than 200 lines', async () => {
  const names = (await readdir(EXAMPLE)).filter((name) => name.endsWith('.ts'));
  const texts = await Promise.all(names.map((name) => readFile(join(EXAMPLE, name), 'utf8')));
  expect(texts.join('').split('\n').length - 1).toBeLessThan(200);
});
