import { resolve } from 'node:path';
import { connectLocal, connectRemote, createAdminKey } from '@conclave/client';
import type { AdminCredentials, ConclaveClient } from '@conclave/client';
import { eventually, Farm } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { SYSTEM_CLOCK, SYSTEM_RANDOM, SYSTEM_TIMERS } from '../../packages/daemon/src/platform.js';

/** A running cluster of three managers and as many workers as wanted. */
export interface BenchCluster {
  readonly farm: Farm;
  readonly managers: readonly Host[];
  readonly workers: readonly Host[];
  /** A client of the daemon of a host, through the public API. */
  connect(host: Host): Promise<ConclaveClient>;
  /** A client with a connection of its own to this manager: mutual TLS, as an administrator. */
  connectRemote(host: Host): ConclaveClient;
  leader(): Promise<Host>;
}

/** Starts it; the caller closes the farm. */
export async function startCluster(workerCount: number): Promise<BenchCluster> {
  const names = ['manager-1', 'manager-2', 'manager-3'];
  for (let worker = 1; worker <= workerCount; worker += 1) names.push(`worker-${worker}`);
  const farm = await Farm.create({
    names,
    bundle: resolve(import.meta.dirname, '../../packages/cli/bundle'),
    tag: `cvb${process.pid}`,
    // The load comes from this process, over TLS: it has to reach the managers.
    network: 'loopback',
  });
  const managers = farm.hosts.slice(0, 3);
  const workers = farm.hosts.slice(3);
  await Promise.all(farm.hosts.map((host) => host.start()));
  const [first] = managers as [Host, ...Host[]];
  await first.ok(['init', '--auto-unlock', 'host']);
  const tokenOf = async (role: string, uses: number): Promise<string> =>
    (await first.ok(['token', 'create', role, '--uses', String(uses), '-q'])).trim();
  const managerToken = await tokenOf('manager', 2);
  const address = `${first.address}:7421`;
  for (const host of managers.slice(1))
    await host.ok(['join', address, '-', '--auto-unlock', 'host'], { input: managerToken });
  if (workerCount > 0) {
    const workerToken = await tokenOf('worker', workerCount);
    await Promise.all(
      workers.map((host) => host.ok(['join', address, '-'], { input: workerToken })),
    );
  }
  const around = { clock: SYSTEM_CLOCK, timers: SYSTEM_TIMERS, random: SYSTEM_RANDOM };
  const connect = (host: Host): Promise<ConclaveClient> =>
    connectLocal({ ...around, socketPath: host.socketPath, userId: 0 });
  const client = await connect(first);
  await eventually('three managers vote', async () => {
    const { managers: seen } = await client.cluster.status();
    return seen.filter((one) => one.membership === 'voter').length === 3 || undefined;
  });
  const credentials = await makeAdmin(client);
  const leader = async (): Promise<Host> =>
    eventually('a leader', async () => {
      for (const host of managers.filter((one) => one.isRunning)) {
        const status = await (await connect(host)).cluster.status();
        const name = status.managers.find((one) => one.isLeader)?.hostname;
        const found = managers.find((one) => one.name === name);
        if (found?.isRunning === true) return found;
      }
      return undefined;
    });
  return {
    farm,
    managers,
    workers,
    connect,
    connectRemote: (host) => {
      const addresses = [`${host.address}:7420`];
      return connectRemote({ ...around, credentials: { ...credentials, addresses } });
    },
    leader,
  };
}

async function makeAdmin(client: ConclaveClient): Promise<AdminCredentials> {
  const name = 'bench';
  const { privateKey, proven: key } = createAdminKey(name);
  const made = await client.admins.create({ name, roles: ['admin'], key });
  return {
    ...made,
    name,
    roles: ['admin'],
    certificateDer: made.certificate,
    rootsDer: made.rootCertificates,
    privateKey,
  };
}
