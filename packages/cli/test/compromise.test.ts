import { randomFillSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createClient } from '@conclave/client';
import type { RpcPort } from '@conclave/client';
import type { AnyMethod } from '@conclave/wire';
import { createControlApi } from '../../manager/src/control-services.js';
import {
  CALL,
  specMessage,
  bindingMessage,
  TestControl,
} from '../../manager/test/control/cluster.js';
import type { Tools } from '../src/command-spec.js';
import { run } from '../src/run.js';
import { fakeIo } from './support/fake-io.js';
import type { FakeIo } from './support/fake-io.js';
import { MemoryContexts } from './support/memory-contexts.js';

const random = {
  bytes: (count: number) => randomFillSync(new Uint8Array(new ArrayBuffer(count))),
  below: () => 0,
};

/** Where a run of the command is killed: at which of its calls, before or after it was carried out. */
interface Kill {
  readonly call: number;
  readonly when: 'before' | 'after';
}

type Api = ReturnType<typeof createControlApi>;

/** The control API of a real manager, whose rotations go one step on with each call. */
class Site {
  readonly control: TestControl;
  /** The call that goes wrong; empty: none. */
  failsAt = '';
  readonly #api: Api;

  private constructor(control: TestControl) {
    this.control = control;
    this.#api = createControlApi(control.deps);
  }

  /** Managers alpha and m2, m3; workers w1, w2, of which w1 was given a version of `a`. */
  static async open(): Promise<Site> {
    const control = await TestControl.open();
    control.observe(CALL.selfNodeId, 'READY');
    for (const name of ['mtwo', 'mthree']) control.addManager(name);
    const w1 = control.addWorker('wone');
    control.addWorker('wtwo');
    for (const name of ['a', 'b']) await control.set(name, `value of ${name}`);
    await control.set('a', 'another value');
    const bindings = [bindingMessage({ secretName: 'a' })];
    const spec = specMessage({ bindings });
    const { service } = await control.services.create({ spec, idempotencyKey: '' } as never, CALL);
    control.addTask(service?.id ?? '', w1);
    return new Site(control);
  }

  /** A port of one process; killed, it answers nothing any more. Counts its calls. */
  port(kill?: Kill): RpcPort & { readonly calls: { count: number } } {
    const calls = { count: 0 };
    const isKilled = (when: Kill['when']): boolean =>
      kill !== undefined &&
      (calls.count > kill.call || (calls.count === kill.call && kill.when === when));
    const carryOut = (method: AnyMethod, request: unknown): unknown => {
      this.#goOn();
      const [service = '', name = ''] = method.path.replace('/conclave.v1.', '').split('/');
      if (`${service}.${name}` === this.failsAt) throw new Error('out of order');
      const handler = `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
      const message = method.decodeRequest(method.encodeRequest(request));
      const handlers = this.#api[service as keyof Api];
      return handlers[handler]?.(message as never, CALL);
    };
    const die = (when: Kill['when']): void => {
      if (isKilled(when)) throw new Error('killed');
    };
    return {
      calls,
      unary: async (method, request) => {
        calls.count += 1;
        die('before');
        const answer = await carryOut(method as unknown as AnyMethod, request);
        die('after');
        return method.decodeResponse(method.encodeResponse(answer as never)) as never;
      },
      stream: async function* (method, request) {
        calls.count += 1;
        die('before');
        const items = carryOut(method as unknown as AnyMethod, request) as AsyncIterable<never>;
        for await (const item of items) {
          yield method.decodeResponse(method.encodeResponse(item)) as never;
        }
        die('after');
      },
      close: () => undefined,
    };
  }

  /** What leader, managers and nodes do by themselves: the next step of whatever is on its way. */
  #goOn(): void {
    this.#ring();
    this.#root();
    this.#recovery();
  }

  #ring(): void {
    const { control } = this;
    const { ringGeneration, ringKeyId, ringRotation } = control.state.cluster()!;
    switch (ringRotation?.phase) {
      case 'offering': {
        const commitment = new Uint8Array(32);
        control.apply({ kind: 'ring.offer', keyId: ringKeyId + 1, commitment });
        return;
      }
      case 'spreading':
        this.#holdRing(ringRotation.generation);
        control.apply({ kind: 'ring.activate', keyId: ringRotation.keyId });
        return;
      case 'rewrapping': {
        const { keyId } = ringRotation;
        const all = [...control.state.secrets()].flatMap(({ id }) =>
          control.state.secretVersions(id),
        );
        const versions = all.map(({ secretId, version }) => {
          return {
            secretId,
            version,
            wrappedDek: new Uint8Array(90),
            digest: new Uint8Array(32),
          };
        });
        control.apply({ kind: 'ring.rewrap', keyId, versions, rootKeySealed: Uint8Array.of(4) });
        control.apply({ kind: 'ring.retire', keyId });
        return;
      }
      case 'retiring':
        this.#holdRing(ringRotation.generation);
        control.apply({ kind: 'ring.finish', keyId: ringRotation.keyId });
        return;
      case undefined:
        this.#holdRing(ringGeneration);
    }
  }

  #holdRing(ringGeneration: number): void {
    // A copy: each report changes the table.
    const nodes = [...this.control.state.nodes()];
    for (const { id, manager } of nodes) {
      if (manager === undefined || manager.ringGeneration >= ringGeneration) continue;
      this.control.apply({ kind: 'node.membership', id, membership: undefined, ringGeneration });
    }
  }

  #root(): void {
    const { control } = this;
    const { ringKeyId, rootGeneration, rootRotation, rootStep } = control.state.cluster()!;
    if (rootRotation === undefined) return;
    if (rootRotation.phase === 'making') {
      const next = { certificate: Uint8Array.of(9), keySealed: Uint8Array.of(9), keyId: ringKeyId };
      control.apply({ kind: 'root.offer', next, crossCertificate: Uint8Array.of(9) });
      return;
    }
    const nodes = [...control.state.nodes()];
    for (const { id, certificate } of nodes) {
      const serial = `${certificate.serial.split('@')[0]}@${rootGeneration}`;
      if (certificate.root < rootGeneration) {
        const renewed = { ...certificate, serial, root: rootGeneration };
        const usedSerial = certificate.serial;
        control.apply({
          kind: 'node.renew',
          id,
          usedSerial,
          certificate: renewed,
          previousUntilMs: 0,
        });
      }
      const { serial: used } = control.state.nodeById(id)!.certificate;
      control.apply({ kind: 'node.root', id, step: rootStep, serial: used });
    }
    const kind = {
      spreading: 'root.activate',
      renewing: 'root.drop',
      dropping: 'root.finish',
    } as const;
    control.apply({ kind: kind[rootRotation.phase], step: rootStep });
  }

  #recovery(): void {
    const { control } = this;
    const { oldRecoveryOn, recovery, stagedRecovery } = control.state.cluster()!;
    const generation = stagedRecovery?.generation ?? recovery.generation;
    const managers = [...control.state.nodes()].filter(({ manager }) => manager !== undefined);
    for (const { id } of managers) {
      if (stagedRecovery !== undefined || oldRecoveryOn.includes(id)) {
        control.apply({ kind: 'recovery.sealed', id, generation });
      }
    }
  }
}

let site: Site;
let folder: string;
let keyFile: string;
const EVICT = ['--evict', 'mthree', '--evict', 'wone'];

beforeEach(async () => {
  site = await Site.open();
  folder = await mkdtemp(join(tmpdir(), 'conclave-cli-'));
  keyFile = join(folder, 'key');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly io: FakeIo;
  readonly calls: number;
}

async function compromise(
  argv: readonly string[],
  { kill, io = fakeIo() }: { readonly kill?: Kill; readonly io?: FakeIo } = {},
): Promise<Ran> {
  const port = site.port(kill);
  const clock = { now: () => 1_700_000_000_000, monotonic: () => 0 };
  const timers = {
    after: (_delayMs: number, callback: () => void) => {
      const immediate = setImmediate(callback);
      return { cancel: () => clearImmediate(immediate) };
    },
    every: () => {
      throw new Error('nothing is done again and again');
    },
  };
  const refused = (): never => {
    throw new Error('not used here');
  };
  // A first item of a stream may take its time: nothing here ever does.
  const patient = { ...timers, after: longWait(timers.after) };
  const tools: Tools = {
    connect: () => Promise.resolve(createClient(port, { clock, timers: patient, random })),
    connectRemote: refused,
    contexts: new MemoryContexts(),
    requestKeys: new MemoryContexts(),
    startDaemon: refused,
    clock,
    random,
    signal: new AbortController().signal,
  };
  const code = await run(['cluster', 'compromise-recovery', ...argv], io, tools);
  return { code, io, calls: port.calls.count };
}

/** Waits for what never comes do not end; short ones end at once. */
function longWait<T extends (delayMs: number, callback: () => void) => { cancel: () => void }>(
  after: T,
): T {
  return ((delayMs: number, callback: () => void) =>
    delayMs > 5_000 ? { cancel: () => undefined } : after(delayMs, callback)) as T;
}

const FILE = (): string[] => ['--yes', '-o', 'json', '--recovery-key-file', keyFile];
const kinds = (kind: string): number =>
  site.control.proposals.filter((command) => command.kind === kind).length;

interface Told {
  readonly evicted: readonly { readonly hostname: string }[];
  readonly exposed: readonly {
    readonly hostname: string;
    readonly secretName: string;
    readonly version: number;
  }[];
}

function expectDone(text: string): void {
  const told = JSON.parse(text) as Told;
  expect(told).toMatchObject({ root: 2, keyId: 2 });
  expect(told.evicted.map(({ hostname }) => hostname)).toEqual(['mthree', 'wone']);
  const exposed = told.exposed.map((row) => `${row.hostname} ${row.secretName} v${row.version}`);
  expect(exposed.toSorted()).toEqual(['mthree a v1', 'mthree a v2', 'mthree b v1', 'wone a v2']);
  const cluster = site.control.state.cluster();
  expect(cluster).toMatchObject({ compromise: undefined, rootGeneration: 2, ringKeyId: 2 });
  expect(cluster).toMatchObject({ oldRecoveryOn: [], stagedRecovery: undefined });
  expect(cluster?.recovery.generation).toBeGreaterThan(1);
  const begun = ['compromise.begin', 'root.rotate', 'ring.rotate', 'recovery.confirm'].map(kinds);
  expect(begun).toEqual([1, 1, 1, 1]);
  expect(site.control.state.nodeByHostname('mthree')).toEqual([]);
  expect([...site.control.state.tokens()].every(({ isRevoked }) => isRevoked)).toBe(true);
}

describe('cluster compromise-recovery', () => {
  test('does all of it, and keeps the new key in its file', async () => {
    const { code, io } = await compromise([...EVICT, ...FILE()]);
    expect([code, io.stderr.text]).toEqual([0, expect.stringMatching(/old one opens no manager/)]);
    expectDone(io.stdout.text);
    expect(await readFile(keyFile, 'utf8')).toMatch(/^cvrk1-/);
    expect(io.stdout.text + io.stderr.text).not.toMatch(/cvrk1-/);
  });

  test.each(['before', 'after'] as const)(
    'killed %s any of its calls, it is run again and goes on',
    async (when) => {
      const { calls } = await compromise([...EVICT, ...FILE()]);
      expect(calls).toBeGreaterThan(20);
      for (let call = 1; call <= calls; call += 1) {
        site = await Site.open();
        await rm(keyFile, { force: true });
        const killed = await compromise([...EVICT, ...FILE()], { kill: { call, when } });
        const isOver = kinds('compromise.finish') > 0;
        if (isOver) {
          // What was found out had been told before.
          expectDone(killed.io.stdout.text);
          continue;
        }
        expect(killed.code).not.toBe(0);
        const again = await compromise([...EVICT, ...FILE()]);
        expect({ call, code: again.code, text: again.io.stderr.text }).toMatchObject({ code: 0 });
        expectDone(again.io.stdout.text);
      }
    },
    60_000,
  );

  test('goes on without naming the nodes once more, and takes more of them', async () => {
    await compromise([...EVICT, ...FILE()], { kill: { call: 12, when: 'after' } });
    const plan = await compromise(['--evict', 'wtwo', '--dry-run']);
    expect(plan.io.stdout.text).toMatch(/^evict wtwo; their tasks move\n/);
    const { code, io } = await compromise(FILE());
    expect([code, io.stderr.text]).toEqual([0, expect.stringMatching(/^goes on; left to do: /)]);
    expectDone(io.stdout.text);
  });

  test('names for a manager what was set before it was out, also of a later run', async () => {
    await compromise(['--evict', 'wone', ...FILE()], { kill: { call: 12, when: 'after' } });
    site.control.time.jump(60_000);
    await site.control.set('b', 'set behind the begin');
    const { code, io } = await compromise(['--evict', 'mthree', ...FILE()]);
    expect([code, io.stderr.text]).toEqual([0, expect.stringMatching(/mthree is out/)]);
    expect((JSON.parse(io.stdout.text) as Told).exposed).toContainEqual(
      expect.objectContaining({ hostname: 'mthree', secretName: 'b', version: 2 }),
    );
  });

  test('stages no key that it cannot keep, and keeps no file of one that was not staged', async () => {
    await writeFile(keyFile, 'something else');
    const { code, io } = await compromise([...EVICT, ...FILE()]);
    expect([code, io.stderr.text]).toEqual([64, expect.stringContaining('EEXIST')]);
    expect(await readFile(keyFile, 'utf8')).toBe('something else');
    expect(kinds('recovery.stage')).toBe(0);
    await rm(keyFile);
    site.failsAt = 'Cluster.StageRecovery';
    expect((await compromise(FILE())).code).not.toBe(0);
    for (const path of [keyFile, `${keyFile}.new`]) {
      await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
    }
    site.failsAt = '';
    // As a run that was killed leaves it.
    await writeFile(`${keyFile}.new`, 'half a key');
    const again = await compromise(FILE());
    expect(again.code).toBe(0);
    expectDone(again.io.stdout.text);
    expect(await readFile(keyFile, 'utf8')).toMatch(/^cvrk1-/);
    await expect(readFile(`${keyFile}.new`)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('shows the key on a terminal and has it typed back', async () => {
    const io = fakeIo({ isTerminal: true, stdin: ['\r'] });
    // Nothing was typed: the key may be lost, and the old one goes on to open everything.
    expect((await compromise([...EVICT, '--yes'], { io })).code).toBe(64);
    expect(io.stderr.text).toMatch(/cvrk1-[a-z2-7-]+\n[^]*Type it to prove/);
    expect(site.control.state.cluster()?.recovery.generation).toBe(1);
    const [shown = ''] = /cvrk1-[a-z2-7-]+/.exec(io.stderr.text) ?? [];
    const again = fakeIo({ isTerminal: true, stdin: [`${shown}\r`] });
    expect((await compromise(['--yes', '-o', 'json'], { io: again })).code).toBe(0);
    expect(again.stderr.text).not.toContain('cvrk1-');
    expectDone(again.stdout.text);
  });

  test('without a terminal and a file for the key nothing begins', async () => {
    const { calls, code, io } = await compromise([...EVICT, '--yes']);
    expect([code, calls, io.stderr.text]).toEqual([
      64,
      0,
      expect.stringContaining('--recovery-key-file'),
    ]);
  });

  test('changes nothing for a plan, without agreement, or for a node that is not there', async () => {
    const plan = await compromise([...EVICT, '--dry-run']);
    expect(plan.io.stdout.text).toMatch(/^evict mthree \(manager\), wone; their tasks move\nend /);
    const io = fakeIo({ isTerminal: true, stdin: ['n\n'] });
    expect((await compromise(EVICT, { io })).code).not.toBe(0);
    expect((await compromise(['--evict', 'nobody', ...FILE()])).code).toBe(66);
    expect((await compromise(['--evict', 'alpha', ...FILE()])).io.stderr.text).toMatch(
      /alpha is the manager that was asked/,
    );
    expect(site.control.state.cluster()?.compromise).toBeUndefined();
    expect(kinds('compromise.begin')).toBe(0);
  });
});
