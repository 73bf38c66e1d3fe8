import { createId, SILENT_LOGGER } from '@conclave/kernel';

import { Agent } from '../src/index.js';
import type { AgentOptions } from '../src/index.js';
import { MemoryRecords, SimulatedExecutor, SimulatedTaskFiles } from '../src/testing/index.js';
import { dialerTo, FakeManager } from './fake-manager.js';
import type { FakeSession } from './fake-manager.js';
import { ManualTime, seededRandom } from './manual-time.js';

/** An agent with everything around it simulated; the host outlives the agent. */
export class Bench {
  readonly time = new ManualTime();
  readonly random = seededRandom();
  readonly files = new SimulatedTaskFiles();
  readonly executor = new SimulatedExecutor();
  readonly records = new MemoryRecords();
  readonly cluster = { clusterId: createId(this.random), nodeId: createId(this.random) };
  readonly managers: FakeManager[];
  savedManagers: unknown[] = [];
  agent: Agent;

  constructor(managerCount = 1) {
    this.managers = Array.from(
      { length: managerCount },
      () => new FakeManager({ random: this.random, cluster: this.cluster }),
    );
    this.agent = this.createAgent();
  }

  createAgent(changes: Partial<AgentOptions> = {}): Agent {
    return new Agent({
      ...this.cluster,
      bootId: 'boot',
      description: {
        hostname: 'host',
        platformOs: 'linux',
        version: '0.1.0',
        executors: ['process'],
      },
      dialer: dialerTo(this.managers),
      managers: this.managers.map(({ place }) => place),
      saveManagers: (managers) => this.savedManagers.push(managers),
      files: this.files,
      executors: [this.executor],
      records: this.records,
      clock: this.time,
      timers: this.time,
      random: this.random,
      logger: SILENT_LOGGER,
      ...changes,
    });
  }

  get manager(): FakeManager {
    const [first] = this.managers;
    if (first === undefined) throw new Error('no manager');
    return first;
  }

  id(): string {
    return createId(this.random);
  }

  /** Starts the agent and accepts its session. */
  async open(): Promise<FakeSession> {
    await this.agent.start();
    return await this.nextSession(0);
  }

  /** Waits for a session after the first `known` ones of the first manager, and accepts it. */
  async nextSession(known: number): Promise<FakeSession> {
    const { manager } = this;
    await this.time.until('a Hello', () => {
      const session = manager.sessions[known];
      return session !== undefined && session.all('hello').length > 0;
    });
    manager.session.accept();
    await this.time.until('a heartbeat', () => manager.session.all('heartbeat').length > 0);
    return manager.session;
  }

  /** Starts another agent and accepts its session. */
  async nextSessionAfter(start: () => Promise<void>): Promise<FakeSession> {
    const known = this.manager.sessions.length;
    await start();
    return await this.nextSession(known);
  }

  textOf(taskId: string, target: string): string {
    return this.files.read(taskId, target).use((view) => new TextDecoder().decode(view));
  }
}
