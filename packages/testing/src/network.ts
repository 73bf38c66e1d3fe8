import { run, runOk } from './run.js';

/** How hosts of one machine reach each other. */
export interface HostNetwork {
  readonly kind: 'namespaces' | 'loopback';
  addressOf(host: number): string;
  /** The command line that runs `argv` on that host. */
  on(host: number, argv: readonly string[]): string[];
  /** Cuts or mends the link of a host. Only with namespaces. */
  setLink(host: number, isUp: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Loopback addresses: works for every user, but links cannot be cut. */
export function loopbackNetwork(): HostNetwork {
  // Farms of other processes of this machine must not get the same addresses.
  const pid = process.pid;
  const subnet = `127.${64 + (Math.floor(pid / 254) % 128)}.${1 + (pid % 254)}`;
  return {
    kind: 'loopback',
    addressOf: (host) => `${subnet}.${host + 1}`,
    on: (_host, argv) => [...argv],
    setLink: () => Promise.reject(new Error('links can be cut only between namespaces')),
    close: () => Promise.resolve(),
  };
}

/**
 * One network namespace per host and one with a bridge between them; nothing is added to the
 * network of the machine itself. Undefined with the reason when the kernel or user does not allow it.
 */
export async function namespaceNetwork(
  count: number,
  tag: string,
): Promise<HostNetwork | { readonly missing: string }> {
  if (process.getuid?.() !== 0) return { missing: 'network namespaces need root' };
  // Another run of the same test on this machine must not share them.
  const own = `${tag}${process.pid}`;
  const hub = `${own}-hub`;
  const nameOf = (host: number): string => `${own}-${host + 1}`;
  const made: string[] = [];
  const close = async (): Promise<void> => {
    for (const name of made.splice(0)) await run(['ip', 'netns', 'del', name]);
  };
  try {
    await addNamespace(hub, made);
    const inHub = ['ip', '-n', hub];
    await runOk([...inHub, 'link', 'add', 'br0', 'type', 'bridge']);
    await runOk([...inHub, 'link', 'set', 'br0', 'up']);
    for (let host = 0; host < count; host += 1) {
      await addNamespace(nameOf(host), made);
      await connectHost(hub, nameOf(host), host);
    }
  } catch (error) {
    await close();
    return { missing: error instanceof Error ? error.message : 'network namespaces do not work' };
  }
  return {
    kind: 'namespaces',
    addressOf: (host) => `10.77.0.${host + 1}`,
    // Not 'ip netns exec': it would give each daemon a mount namespace of its own, so that a
    // restarted agent could not see the mounts of the one before.
    on: (host, argv) => ['nsenter', `--net=/run/netns/${nameOf(host)}`, '--', ...argv],
    setLink: async (host, isUp) => {
      await runOk(['ip', '-n', hub, 'link', 'set', `port${host}`, isUp ? 'up' : 'down']);
    },
    close,
  };
}

async function addNamespace(name: string, made: string[]): Promise<void> {
  await runOk(['ip', 'netns', 'add', name]);
  made.push(name);
}

async function connectHost(hub: string, name: string, host: number): Promise<void> {
  const port = `port${host}`;
  await runOk([
    'ip',
    '-n',
    hub,
    'link',
    'add',
    port,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    name,
  ]);
  await runOk(['ip', '-n', hub, 'link', 'set', port, 'master', 'br0', 'up']);
  await runOk(['ip', '-n', name, 'addr', 'add', `10.77.0.${host + 1}/24`, 'dev', 'eth0']);
  await runOk(['ip', '-n', name, 'link', 'set', 'eth0', 'up']);
  await runOk(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
}
