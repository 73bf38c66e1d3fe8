import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { eventually, Farm, run } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { testUnless } from './lacks.js';
import { BUNDLE, isRoot, refusalOf } from './support.js';

// The host slot with a TPM: a simulated one, which systemd-creds reaches over loopback.

const CREDS = '/usr/bin/systemd-creds';
/** Also makes systemd's key of the host when there is none: then this test takes it away again. */
const HOST_KEY = '/var/lib/systemd/credential.secret';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A simulated TPM with a state of its own; systemd looks for its control port behind the other. */
class SimulatedTpm {
  readonly port: number;
  readonly #state: string;
  #child: ChildProcess | undefined;

  constructor(state: string, port: number) {
    this.#state = state;
    this.port = port;
  }

  get device(): string {
    return `swtpm:host=127.0.0.1,port=${this.port}`;
  }

  async start(): Promise<void> {
    await mkdir(this.#state, { recursive: true, mode: 0o700 });
    const place = (port: number): string => `type=tcp,port=${port},bindaddr=127.0.0.1`;
    const flags = ['--flags', 'not-need-init,startup-clear'];
    const ports = ['--server', place(this.port), '--ctrl', place(this.port + 1)];
    const argv = ['socket', '--tpm2', '--tpmstate', `dir=${this.#state}`, ...ports, ...flags];
    this.#child = spawn('swtpm', argv, { stdio: 'ignore' });
    await eventually('the TPM seals', async () => ((await this.seals()) ? true : undefined));
  }

  async seals(): Promise<boolean> {
    const argv = [CREDS, 'encrypt', '--with-key=tpm2', `--tpm2-device=${this.device}`, '-', '-'];
    return (await run(argv, { input: 'x' })).code === 0;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}

/** What this machine lacks for a simulated TPM; empty: nothing. */
async function lackOfTpm(): Promise<string> {
  if (!isRoot) return 'the TPM of a host is for root';
  if (!existsSync(CREDS)) return `${CREDS} is missing`;
  const { code } = await run(['swtpm', '--version']).catch(() => ({ code: 127 }));
  if (code !== 0) return 'swtpm is missing';
  const folder = await mkdtemp(join(tmpdir(), 'ctpm-probe-'));
  const tpm = new SimulatedTpm(folder, await freePort());
  try {
    await tpm.start();
    return '';
  } catch {
    return 'systemd-creds does not get along with swtpm (libtss2-tcti-swtpm0?)';
  } finally {
    await tpm.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const testWithTpm = testUnless(await lackOfTpm());

describe('a manager on a host with a TPM', () => {
  const hadHostKey = existsSync(HOST_KEY);
  let folder: string;
  let tpm: SimulatedTpm;
  let farm: Farm;
  let host: Host;

  const stateOf = async (which: Host): Promise<{ state: string; message: string }> => {
    const { stdout } = await which.conclave(['status', '-o', 'json']);
    return (JSON.parse(stdout) as { local: { state: string; message: string } }).local;
  };
  const becomes = (which: Host, state: string): Promise<true> =>
    eventually(`it is ${state}`, async () =>
      (await stateOf(which)).state === state ? true : undefined,
    );

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ctpm-'));
    tpm = new SimulatedTpm(join(folder, 'tpm'), await freePort());
    farm = await Farm.create({
      tag: 'ctpm',
      bundle: BUNDLE,
      names: ['a', 'thief'],
      network: 'loopback',
      program: ['env', `SYSTEMD_TPM2_DEVICE=${tpm.device}`, join(BUNDLE, 'conclaved.js')],
    });
    host = farm.host('a');
  });

  afterAll(async () => {
    await farm?.close();
    await tpm?.stop();
    await rm(folder, { recursive: true, force: true });
    if (!hadHostKey) await rm(HOST_KEY, { force: true });
  });

  testWithTpm(
    'opens by itself after a restart, and says that the disk alone does not',
    async () => {
      await tpm.start();
      await host.start();
      const init = ['init', '--advertise', host.address, '--auto-unlock', 'host'];
      expect(await host.ok(init)).toMatch(/opened by the TPM of this host/);
      expect(await host.ok(['keys', 'ls'])).toMatch(/host .*TPM/i);
      expect(await readdir(join(host.dataDir, 'keys'))).not.toContain('host.key');
      await host.stop('SIGKILL');
      await host.start();
      await becomes(host, 'ready');
    },
  );

  testWithTpm('stays locked while the TPM does not answer, and opens when it does', async () => {
    await host.stop();
    await tpm.stop();
    await host.start();
    await eventually('it says why', async () =>
      /systemd-creds/.test((await stateOf(host)).message) ? true : undefined,
    );
    expect(refusalOf(await host.conclave(['secret', 'ls']))).toMatchObject({ code: 75 });
    await tpm.start();
    await becomes(host, 'ready');
  });

  testWithTpm('its disk on a machine with another TPM stays locked', async () => {
    await Promise.all([host.stop(), tpm.stop()]);
    const other = new SimulatedTpm(join(folder, 'other'), tpm.port);
    await other.start();
    try {
      const thief = farm.host('thief');
      await cp(host.dataDir, thief.dataDir, { recursive: true });
      await rm(join(thief.dataDir, 'lock'), { force: true });
      await thief.start();
      await eventually('it has tried', async () =>
        /systemd-creds/.test((await stateOf(thief)).message) ? true : undefined,
      );
      expect((await stateOf(thief)).state).toBe('locked');
    } finally {
      await other.stop();
    }
  });
});
