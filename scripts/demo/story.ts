import { createHash, randomBytes } from 'node:crypto';
import { countInMemory, eventually, LeakScanner } from '@conclave/testing';
import type { Farm, Host } from '@conclave/testing';
import type { Narrator } from './narrator.js';

interface TaskLine {
  readonly id: string;
  readonly state: string;
  readonly nodeHostname: string;
}

interface ManagerLine {
  readonly hostname: string;
  readonly isLeader: boolean;
  readonly membership: string;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const plant = (name: string): string => `${name}-${randomBytes(18).toString('hex')}`;

/** What a task prints: what it sees of its secret, once and after each change. */
const WATCHER = [
  'f=/run/secrets/db; last=',
  'echo "owner and mode: $(stat -L -c "%u %a" $f), my uid: $(id -u)"',
  'echo "mount: $(grep " /run/secrets " /proc/self/mountinfo | cut -d" " -f5-)"',
  'while :; do now=$(sha256sum < $f | cut -d" " -f1)',
  'if [ "$now" != "$last" ]; then echo "sha256 $now"; last=$now; fi; sleep 0.1; done',
].join('; ');

/** The story of the first cluster: every promise is checked as it is told. */
export class Story {
  readonly #farm: Farm;
  readonly #tell: Narrator;
  readonly #planted = {
    first: plant('first'),
    second: plant('second'),
    changed: plant('changed'),
    afterKill: plant('after'),
  };

  constructor(farm: Farm, tell: Narrator) {
    this.#farm = farm;
    this.#tell = tell;
  }

  /** Tells all of it; rejects at the first promise that is not kept. */
  async tell(): Promise<void> {
    await this.#startHosts();
    await this.#formCluster();
    await this.#runService();
    await this.#lookInside();
    await this.#keepApart();
    await this.#changeValue();
    await this.#killLeader();
    await this.#killWorker();
    await this.#searchForLeaks();
  }

  get #first(): Host {
    return this.#farm.host('manager-1');
  }

  /** A manager that answers. */
  #alive(): Host {
    const host = this.#farm.hosts.find((one) => one.name.startsWith('manager') && one.isRunning);
    if (host === undefined) throw new Error('no manager runs');
    return host;
  }

  async #startHosts(): Promise<void> {
    this.#tell.chapter('Five hosts start their daemon');
    for (const host of this.#farm.hosts) {
      this.#tell.typed(host.name, `conclaved ${host.daemonArgv().slice(1).join(' ')} &`);
    }
    await this.#tell.timed('five daemons answer', () =>
      Promise.all(this.#farm.hosts.map((host) => host.start())),
    );
    this.#tell.proven(`five processes, each with its own data folder (${this.#farm.network.kind})`);
  }

  async #formCluster(): Promise<void> {
    const tell = this.#tell;
    tell.chapter('The first manager makes the cluster, the others join');
    // Without it a manager that restarts is locked until somebody gives it the recovery key.
    tell.say('    --auto-unlock host: this story restarts a manager and has nobody to unlock it');
    await tell.timed('init', () => tell.type(this.#first, ['init', '--auto-unlock', 'host']));
    const tokens = new Map<string, string>();
    for (const role of ['manager', 'worker']) {
      const variable = role.toUpperCase();
      const token = await tell.type(this.#first, ['token', 'create', role, '--uses', '2', '-q'], {
        shown: `${variable}=$(conclave token create ${role} --uses 2 -q)`,
        isQuiet: true,
      });
      tokens.set(role, token.trim());
    }
    const joinAddress = `${this.#first.address}:7421`;
    for (const host of this.#farm.hosts.slice(1)) {
      const role = host.name.startsWith('manager') ? 'manager' : 'worker';
      const unlocks = role === 'manager' ? ['--auto-unlock', 'host'] : [];
      await tell.timed(`${host.name} joins`, () =>
        tell.type(host, ['join', joinAddress, '-', ...unlocks], {
          input: tokens.get(role) ?? '',
          shown:
            `printf %s "$${role.toUpperCase()}" | conclave join ${joinAddress} - ${unlocks.join(' ')}`.trimEnd(),
        }),
      );
    }
    await tell.timed('three managers vote', () =>
      eventually('three voters', async () => {
        const { managers } = await this.#status();
        return managers.filter((one) => one.membership === 'voter').length === 3 || undefined;
      }),
    );
    await tell.type(this.#first, ['node', 'ls']);
  }

  async #runService(): Promise<void> {
    const tell = this.#tell;
    tell.chapter('A secret is set, and a service uses it');
    await tell.timed('secret set', () =>
      tell.type(this.#first, ['secret', 'set', 'shop/db'], {
        input: this.#planted.first,
        shown: `printf %s "$PW" | conclave secret set shop/db`,
      }),
    );
    await tell.timed('service create until both tasks run', async () => {
      const args = ['service', 'create', 'web', '--replicas', '2', '--secret', 'shop/db'];
      await tell.type(this.#first, [...args, '--', 'sh', '-c', WATCHER], {
        shown: `conclave ${args.join(' ')} -- sh -c "$WATCHER"`,
      });
      await this.#running('web', 2);
    });
    await tell.type(this.#first, ['service', 'ps', 'web']);
  }

  async #lookInside(): Promise<void> {
    const tell = this.#tell;
    tell.chapter('What the tasks see');
    const wanted = sha256(this.#planted.first);
    const logs = await eventually('both tasks printed', async () => {
      const text = await this.#first.ok(['service', 'logs', 'web']);
      return text.split(wanted).length === 3 ? text : undefined;
    });
    tell.typed('manager-1', 'conclave service logs web');
    tell.answered(logs);
    tell.typed('manager-1', 'printf %s "$PW" | sha256sum');
    tell.answered(wanted);
    tell.demand(logs.split(wanted).length === 3, 'both tasks read exactly what was set');
    tell.demand(/owner and mode: \d+ 400/.test(logs), 'the file belongs to the task, mode 0400');
    tell.demand(/mount: \/run\/secrets ro\b.*(tmpfs|ramfs)/.test(logs), 'read-only, in memory');
  }

  async #keepApart(): Promise<void> {
    const tell = this.#tell;
    tell.chapter('A worker without a task for a secret never gets it');
    await tell.type(this.#first, ['secret', 'set', 'ops/backup'], {
      input: this.#planted.second,
      shown: `printf %s "$KEY" | conclave secret set ops/backup`,
    });
    const args = 'service create backup --secret ops/backup --constraint node.hostname==worker-1';
    await tell.type(this.#first, [...args.split(' '), '--', 'sleep', '3600']);
    await this.#running('backup', 1);
    const exposed = await tell.type(this.#first, ['node', 'exposure', 'worker-2']);
    tell.demand(!exposed.includes('ops/backup'), 'the ledger lists no version of it for worker-2');
    const other = this.#farm.host('worker-2');
    const inMemory = await countInMemory(other.pid, Buffer.from(this.#planted.second));
    if (inMemory === undefined) tell.say('    the memory of worker-2 may not be read by this user');
    else tell.demand(inMemory === 0, `the memory of worker-2 (process ${other.pid}) has 0 copies`);
  }

  async #changeValue(): Promise<void> {
    const tell = this.#tell;
    tell.chapter('The value changes, and the running tasks have it');
    await tell.timed('changed value in both tasks', () =>
      tell.type(this.#first, ['secret', 'set', 'shop/db', '--wait'], {
        input: this.#planted.changed,
        shown: `printf %s "$NEW" | conclave secret set shop/db --wait`,
      }),
    );
    await this.#seenByTasks(this.#first, this.#planted.changed, 2);
    await tell.type(this.#first, ['secret', 'status', 'shop/db']);
  }

  async #killLeader(): Promise<void> {
    const tell = this.#tell;
    tell.chapter('The leader is killed, and the next write succeeds');
    const { managers } = await this.#status();
    const leader = this.#farm.host(managers.find((one) => one.isLeader)?.hostname ?? '');
    tell.typed(leader.name, `kill -9 ${leader.pid}`);
    await leader.stop('SIGKILL');
    const other = this.#alive();
    await tell.timed('leader killed until the next write is committed', () =>
      tell.type(other, ['secret', 'set', 'shop/db'], {
        input: this.#planted.afterKill,
        shown: `printf %s "$NEXT" | conclave secret set shop/db`,
      }),
    );
    await tell.timed('and until both tasks have it', () =>
      this.#seenByTasks(other, this.#planted.afterKill, 2),
    );
    tell.typed(leader.name, 'conclaved … &');
    await leader.start();
    await eventually('the old leader follows', async () => {
      const status = await leader.conclave(['status', '-o', 'json']);
      return status.code === 0 || undefined;
    });
    tell.proven(`${leader.name} is back and follows`);
  }

  async #killWorker(): Promise<void> {
    const tell = this.#tell;
    tell.chapter('A worker is killed, and its task runs elsewhere with its secret');
    const host = this.#alive();
    const worker = this.#farm.host('worker-2');
    const before = await this.#tasks(host, 'web');
    const lost = before.find((task) => task.nodeHostname === worker.name)?.id ?? '';
    tell.demand(lost !== '', `${worker.name} runs a task of web`);
    tell.typed(worker.name, `kill -9 ${worker.pid}`);
    await worker.stop('SIGKILL');
    await tell.timed('worker killed until its task runs elsewhere', () =>
      eventually('both tasks run on worker-1', async () => {
        const tasks = await this.#tasks(host, 'web');
        const there = tasks.filter(
          (task) => task.nodeHostname === 'worker-1' && task.state === 'RUNNING',
        );
        return there.length === 2 || undefined;
      }),
    );
    await tell.type(host, ['service', 'ps', 'web']);
    await this.#seenByTasks(host, this.#planted.afterKill, 2);
  }

  async #searchForLeaks(): Promise<void> {
    const tell = this.#tell;
    tell.chapter('Every file of all five processes is searched for the planted values');
    const markers = Object.entries(this.#planted).map(([name, value]) => ({
      name,
      bytes: Buffer.from(value),
    }));
    const control = new LeakScanner(markers);
    control.text(this.#planted.first, 'control');
    tell.demand(control.report().leaks.length > 0, 'the search finds what is there (control)');
    const scanner = new LeakScanner(markers);
    await tell.timed('search of every file', async () => {
      await scanner.folder(this.#farm.folder);
      // The tasks' own files are the one place where values are meant to be.
      await scanner.folder(this.#farm.memoryFolder, (path) => /\/tasks\/[^/]+\/files$/.test(path));
      for (const pid of await this.#farm.processes()) await scanner.process(pid);
    });
    const { leaks, files, bytes } = scanner.report();
    for (const leak of leaks) tell.say(`    ${leak.marker} (${leak.form}) in ${leak.place}`);
    const searched = `${files} files, ${(bytes / 1e6).toFixed(1)} MB`;
    tell.demand(leaks.length === 0, `${leaks.length} found in ${searched}`);
  }

  async #status(): Promise<{ managers: readonly ManagerLine[] }> {
    const status = await this.#alive().json<{ cluster: { managers: ManagerLine[] } }>(['status']);
    return status.cluster;
  }

  async #tasks(host: Host, service: string): Promise<readonly TaskLine[]> {
    return host.json<TaskLine[]>(['service', 'ps', service]);
  }

  async #running(service: string, count: number): Promise<void> {
    await eventually(`${count} tasks of ${service} run`, async () => {
      const tasks = await this.#tasks(this.#alive(), service);
      return tasks.filter((task) => task.state === 'RUNNING').length === count || undefined;
    });
  }

  /** Waits until as many tasks have printed the checksum of a value. */
  async #seenByTasks(host: Host, value: string, count: number): Promise<void> {
    const wanted = sha256(value);
    await eventually('the tasks printed the checksum', async () => {
      const text = await host.ok(['service', 'logs', 'web']);
      return text.split(wanted).length > count || undefined;
    });
    this.#tell.proven(`${count} running tasks read sha256 ${wanted.slice(0, 16)}…`);
  }
}
