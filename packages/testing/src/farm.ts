import { chown, mkdtemp, mkdir, readFile, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Host } from './host.js';
import { loopbackNetwork, namespaceNetwork } from './network.js';
import type { HostNetwork } from './network.js';
import { eventually, run } from './run.js';

const TMPFS = 0x01021994;
const RAMFS = 0x858458f6;

export interface FarmOptions {
  readonly names: readonly string[];
  /** The folder that holds the bundled command and daemon. */
  readonly bundle: string;
  /** `auto`: namespaces where root and kernel allow, else loopback. */
  readonly network?: 'auto' | 'namespaces' | 'loopback';
  readonly daemonArgs?: readonly string[];
  /** What starts the daemons; their launcher by default. */
  readonly program?: readonly string[];
  /** In front of every command of every host, for example to become another user. */
  readonly prefix?: readonly string[];
  /** Owner of the folders when the hosts run as another user than this process. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Behind the name of each host, in what its daemon calls itself. */
  readonly hostnameSuffix?: string;
  /** Parent of the folder on a disk; that for temporary files by default. */
  readonly diskFolder?: string;
  /** Short and unique on this machine, letters and digits. */
  readonly tag: string;
}

/** Several hosts on one machine: folders, network, processes, and the cleaning up of all of it. */
export class Farm {
  readonly hosts: readonly Host[];
  readonly tag: string;
  readonly network: HostNetwork;
  readonly folder: string;
  readonly memoryFolder: string;
  /** Why loopback is used although namespaces were wanted; empty: they were not, or they work. */
  readonly networkNotice: string;

  private constructor(fields: {
    hosts: readonly Host[];
    tag: string;
    network: HostNetwork;
    folder: string;
    memoryFolder: string;
    networkNotice: string;
  }) {
    this.hosts = fields.hosts;
    this.tag = fields.tag;
    this.network = fields.network;
    this.folder = fields.folder;
    this.memoryFolder = fields.memoryFolder;
    this.networkNotice = fields.networkNotice;
  }

  /** Prepares everything, starts nothing. */
  static async create(options: FarmOptions): Promise<Farm> {
    const { network, notice } = await chooseNetwork(options);
    const folder = await mkdtemp(join(options.diskFolder ?? tmpdir(), `${options.tag}-`));
    const memoryFolder = await mkdtemp(join(await memoryRoot(), `${options.tag}-`));
    const hosts: Host[] = [];
    for (const [number, name] of options.names.entries()) {
      await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
      hosts.push(
        new Host({
          name,
          hostname: `${name}${options.hostnameSuffix ?? ''}`,
          number,
          network,
          bundle: options.bundle,
          dataDir: join(folder, name, 'data'),
          runDir: join(memoryFolder, name),
          logFile: join(folder, name, 'log'),
          ...(options.program === undefined ? {} : { program: options.program }),
          ...(options.daemonArgs === undefined ? {} : { daemonArgs: options.daemonArgs }),
          ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
        }),
      );
    }
    if (options.owner !== undefined)
      await giveFolders([folder, memoryFolder], hosts, options.owner);
    return new Farm({
      hosts,
      tag: options.tag,
      network,
      folder,
      memoryFolder,
      networkNotice: notice,
    });
  }

  /** The host of this name or hostname. */
  host(name: string): Host {
    const host = this.hosts.find((one) => one.name === name || one.hostname === name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  /** Ends what still runs and takes down what is mounted; true when nothing was left to do. */
  async #sweep(): Promise<true | undefined> {
    const pids = await this.processes();
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Ended meanwhile.
      }
    }
    const mounts = [...(await mountsBelow(this.memoryFolder)), ...(await mountsBelow(this.folder))];
    for (const path of mounts) await run(['umount', path]);
    return pids.length + mounts.length === 0 || undefined;
  }

  /** Process ids of everything that was started below this farm's folders, daemons included. */
  async processes(): Promise<number[]> {
    const found: number[] = [];
    for (const name of await readdir('/proc')) {
      if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
      const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
      const mounts = await readFile(`/proc/${name}/mountinfo`, 'utf8').catch(() => '');
      if (line.includes(this.memoryFolder) || isTaskOf(this.hosts, mounts)) {
        found.push(Number(name));
      }
    }
    return found;
  }

  /** Ends every process, takes every mount down and removes every folder. */
  async close(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop('SIGTERM', 10_000)));
    await eventually('nothing of the hosts is left', () => this.#sweep());
    await this.network.close();
    await rm(this.memoryFolder, { recursive: true, force: true });
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function chooseNetwork(
  options: FarmOptions,
): Promise<{ network: HostNetwork; notice: string }> {
  const wanted = options.network ?? 'auto';
  if (wanted === 'loopback') return { network: loopbackNetwork(), notice: '' };
  const made = await namespaceNetwork(options.names.length, options.tag);
  if (!('missing' in made)) return { network: made, notice: '' };
  if (wanted === 'namespaces') throw new Error(made.missing);
  return { network: loopbackNetwork(), notice: made.missing };
}

/** The other user owns what its daemons write; everything exists before they start. */
async function giveFolders(
  folders: readonly string[],
  hosts: readonly Host[],
  { uid, gid }: { readonly uid: number; readonly gid: number },
): Promise<void> {
  for (const host of hosts) {
    for (const path of [host.dataDir, host.runDir]) {
      await mkdir(path, { recursive: true, mode: 0o700 });
      await chown(path, uid, gid);
    }
    await chown(dirname(host.dataDir), uid, gid);
  }
  for (const path of folders) await chown(path, uid, gid);
}

/** A folder in memory that this user may write. */
async function memoryRoot(): Promise<string> {
  const candidates = [process.env['XDG_RUNTIME_DIR'], '/dev/shm', '/run', tmpdir()];
  for (const path of candidates) {
    if (path === undefined || path === '') continue;
    const type = await statfs(path).then(
      (found) => found.type >>> 0,
      () => 0,
    );
    if (type !== TMPFS && type !== RAMFS) continue;
    try {
      const probe = await mkdtemp(join(path, 'conclave-probe-'));
      await rm(probe, { recursive: true });
      return path;
    } catch {
      // Not ours to write: try the next.
    }
  }
  throw new Error('no writable folder in memory: mount a tmpfs at /dev/shm');
}

/**
 * True for a task of one of the hosts: its own view of the machine covers the run folder of its
 * host. That a run folder occurs among the mounts otherwise says nothing: a task of another farm
 * has a copy of every mount of the machine.
 */
function isTaskOf(hosts: readonly Host[], mountInfo: string): boolean {
  const points = new Set(mountInfo.split('\n').map((line) => line.split(' ')[4]));
  return points.has('/run/secrets') && hosts.some(({ runDir }) => points.has(runDir));
}

async function mountsBelow(folder: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
}
