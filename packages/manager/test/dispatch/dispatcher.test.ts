import { beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError, createId, limits, SILENT_LOGGER } from '@conclave/kernel';
import { agentHello, agentOpen, verifyTranscript } from '@conclave/sealed';
import type { TaskReport } from '@conclave/state';
import type { AgentHelloInput, ManagerAccept, SessionsRequestInput } from '@conclave/wire';
import { Dispatcher } from '../../src/dispatch/dispatcher.js';
import {
  BEAT_MS,
  HELLO_WAIT_MS,
  LEASE_MS,
  UNACKED_MAX,
  UNCONFIRMED_BATCHES_MAX,
} from '../../src/dispatch/limits.js';
import { CLUSTER_ID, FoundedCluster, FOUNDER_ID, settle, SYSTEM } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';
import { contextOf, ReceivingAgent, Workload } from './agent-side.js';
import { FakeStream } from './fake-stream.js';

const OWN_SERIAL = 'b0b0';

/** One manager's dispatcher; what it tells the leader is noted down. */
class Bench {
  readonly cluster: FoundedCluster;
  readonly work: Workload;
  readonly dispatcher: Dispatcher;
  readonly beats: SessionsRequestInput[] = [];
  invalid: string[] = [];
  hasLeader = true;
  commitFailure: Error | undefined;
  beatFailure: Error | undefined;

  constructor(cluster: FoundedCluster) {
    this.cluster = cluster;
    this.work = new Workload(cluster);
    const { time, random, keys, replicated, proposer } = cluster;
    this.dispatcher = new Dispatcher({
      selfNodeId: FOUNDER_ID,
      ownSerial: () => OWN_SERIAL,
      replicated,
      keys,
      confirm: () =>
        this.hasLeader
          ? Promise.resolve(1)
          : Promise.reject(new ConclaveError('CV_NO_LEADER', 'there is no leader')),
      commit: async (body) => {
        if (this.commitFailure !== undefined) throw this.commitFailure;
        return proposer.propose(SYSTEM, body);
      },
      beat: (sessions) => {
        this.beats.push(sessions);
        if (this.beatFailure !== undefined) return Promise.reject(this.beatFailure);
        return Promise.resolve({ invalid: this.invalid });
      },
      clock: time,
      timers: time,
      random,
      logger: SILENT_LOGGER,
    });
  }

  /** An agent that begins a session. */
  connect(nodeId: string, hello: AgentHelloInput = {}): AgentEnd {
    const agent = new AgentEnd(this, nodeId);
    agent.hello(hello);
    return agent;
  }

  async pass(ms = 20): Promise<void> {
    await this.cluster.time.advance(ms, settle);
  }
}

class AgentEnd {
  readonly stream = new FakeStream();
  readonly nodeId: string;
  /** How the session ended; undefined while it goes on. */
  ending: { readonly code: string } | undefined;
  agent: ReceivingAgent | undefined;
  readonly #bench: Bench;
  readonly #hello = agentHello(seededRandom(77));

  constructor(bench: Bench, nodeId: string) {
    this.#bench = bench;
    this.nodeId = nodeId;
    const call = this.stream.call(nodeId, 'a0a0');
    const session = bench.dispatcher.session(call, this.stream.requests(), this.stream);
    session.then(
      () => {
        this.ending = { code: 'ended' };
      },
      (error: unknown) => {
        this.ending = { code: (error as ConclaveError).code };
      },
    );
  }

  hello(fields: AgentHelloInput): void {
    const { kemPublicKey, nonce } = this.#hello.hello;
    this.stream.send({
      hello: {
        protocol: 1,
        kemPublicKey,
        nonce,
        bootId: 'boot',
        clusterEpoch: 0,
        appliedIndex: 0,
        hostname: 'host',
        platformOs: 'linux',
        version: '1.0.0',
        executors: ['process'],
        held: [],
        ...fields,
      },
    });
  }

  get accept(): ManagerAccept {
    const accept = this.stream.received[0]?.accept;
    if (accept === undefined || accept === null) throw new Error('the session was not accepted');
    return accept;
  }

  get sessionId(): string {
    return this.accept.sessionId;
  }

  /** Checks the accept as an agent does and takes the assignments that came so far. */
  open(): ReceivingAgent {
    if (this.agent !== undefined) return this.agent;
    const { accept, nodeId } = this;
    const { opener, transcript } = agentOpen({
      hello: this.#hello.hello,
      privateKey: this.#hello.privateKey,
      accept: {
        ciphertext: accept.kemCiphertext,
        nonce: accept.nonce,
        header: accept.streamHeader,
      },
      binding: {
        clusterId: CLUSTER_ID,
        nodeId,
        agentSerial: 'a0a0',
        managerSerial: OWN_SERIAL,
        context: contextOf(accept.sessionId),
      },
    });
    const { signing } = this.#bench.cluster.keys;
    expect(verifyTranscript(signing.publicKey, transcript, accept.signature)).toBe(true);
    this.agent = new ReceivingAgent(opener);
    return this.agent;
  }

  /** Takes every assignment that came and acknowledges each. */
  takeAll(): ReceivingAgent {
    const agent = this.open();
    for (const { assignments } of this.stream.received.splice(0)) {
      if (assignments === null || assignments === undefined) continue;
      if (agent.take(assignments)) this.acknowledge(assignments.resultsIn);
    }
    return agent;
  }

  acknowledge(sequence: number, error = ''): void {
    this.stream.send({ ack: { sequence, error } });
  }

  report(batch: number, ...reports: Partial<TaskReport>[]): void {
    this.stream.send({
      taskReports: {
        batch,
        reports: reports.map((report) => ({ taskId: '', state: 'RUNNING', atMs: 1, ...report })),
      },
    });
  }

  /** Batches that the manager has confirmed. */
  get confirmed(): number[] {
    return this.stream.received.flatMap(({ reportAck }) => (reportAck ? [reportAck.batch] : []));
  }

  get assignmentCount(): number {
    return this.stream.received.filter(({ assignments }) => assignments?.last === true).length;
  }
}

let bench: Bench;
let node: string;

beforeEach(async () => {
  bench = new Bench(await FoundedCluster.running());
  node = bench.cluster.addWorker('one');
});

describe('a session', () => {
  test('begins with an accept that the agent can check, then all that it may have', async () => {
    bench.work.secret('db', 'swordfish');
    const task = bench.work.task(node, [bench.work.binding('db')]);
    const end = bench.connect(node);
    await bench.pass();
    expect(end.accept).toMatchObject({ managerId: FOUNDER_ID, nodeId: node });
    expect(end.accept.info?.managers.map(({ nodeId }) => nodeId)).toEqual([FOUNDER_ID]);
    end.open();
    const agent = end.takeAll();
    expect(agent.tasks()).toEqual({ [task]: 'db' });
    expect([...agent.held.values()]).toEqual(['swordfish']);
    expect(end.ending).toBeUndefined();
  });

  test('of an agent that says nothing ends, and leaves no timer behind', async () => {
    const end = new AgentEnd(bench, node);
    await bench.pass(HELLO_WAIT_MS - 1);
    expect(end.ending).toBeUndefined();
    await bench.pass(1);
    expect(end.ending).toEqual({ code: 'CV_PROTOCOL' });
  });

  test.each([
    ['another protocol', { protocol: 2 }, 'CV_PROTOCOL'],
    ['a key that is none', { kemPublicKey: new Uint8Array(5) }, 'CV_ARGUMENT_INVALID'],
    ['a host name without end', { hostname: 'x'.repeat(256) }, 'CV_LIMIT_EXCEEDED'],
    ['a version without end', { version: 'x'.repeat(65) }, 'CV_LIMIT_EXCEEDED'],
    ['too many executors', { executors: Array<string>(17).fill('x') }, 'CV_LIMIT_EXCEEDED'],
    [
      'too many held versions',
      { held: Array.from({ length: 10_001 }, () => ({ secretId: 'a', version: 1 })) },
      'CV_LIMIT_EXCEEDED',
    ],
  ])('with %s is refused', async (_, fields, code) => {
    const end = bench.connect(node, fields as AgentHelloInput);
    await bench.pass();
    expect(end.ending).toEqual({ code });
    expect(bench.dispatcher.sessionCount).toBe(0);
    expect(bench.beats.flatMap(({ opened = [] }) => opened)).toEqual([]);
  });

  test('that begins with anything but a hello is refused', async () => {
    const end = new AgentEnd(bench, node);
    end.acknowledge(1);
    await bench.pass();
    expect(end.ending).toEqual({ code: 'CV_PROTOCOL' });
  });

  test('ends quietly when the agent goes, and the leader hears of it', async () => {
    const end = bench.connect(node);
    await bench.pass();
    const { sessionId } = end;
    end.stream.end();
    await bench.pass(500);
    expect(end.ending).toEqual({ code: 'ended' });
    expect(bench.dispatcher.sessionCount).toBe(0);
    expect(bench.beats.at(-1)?.closed).toEqual([{ nodeId: node, sessionId }]);
  });

  test('ends when its call is cut, also before it was set up', async () => {
    const cut = new ConclaveError('CV_UNAUTHENTICATED', 'removed');
    const end = bench.connect(node);
    await bench.pass();
    end.stream.controller.abort(cut);
    await bench.pass();
    expect(end.ending).toEqual({ code: 'CV_UNAUTHENTICATED' });
    const late = bench.connect(node);
    late.stream.controller.abort(cut);
    await bench.pass();
    expect(late.ending).toEqual({ code: 'CV_UNAUTHENTICATED' });
  });

  test('of an agent that falls silent is cut after three periods', async () => {
    const end = bench.connect(node);
    await bench.pass();
    const silenceMs = limits.HEARTBEAT_PERIOD_MS * limits.HEARTBEAT_MISSES_MAX;
    await bench.pass(silenceMs - 1_000);
    end.stream.send({ heartbeat: { sessionId: end.sessionId } });
    await bench.pass(silenceMs - 1_000);
    expect(end.ending).toBeUndefined();
    await bench.pass(2_000);
    expect(end.ending).toEqual({ code: 'CV_DEADLINE' });
  });

  test('at a manager that was removed ends, and says nothing against the agent', async () => {
    const end = bench.connect(node);
    await bench.pass();
    bench.beatFailure = new ConclaveError('CV_NO_LEADER', 'there is no leader');
    await bench.pass(BEAT_MS);
    expect(end.ending).toBeUndefined();
    bench.beatFailure = new ConclaveError('CV_NODE_REMOVED', 'this node was removed');
    await bench.pass(BEAT_MS);
    expect(end.ending).toEqual({ code: 'CV_NO_LEADER' });
    expect(bench.dispatcher.sessionCount).toBe(0);
  });
});

describe('a newer session of the node', () => {
  test('on this manager replaces the one before', async () => {
    const first = bench.connect(node);
    await bench.pass();
    const second = bench.connect(node);
    await bench.pass();
    expect(first.ending).toEqual({ code: 'CV_SESSION_INVALID' });
    expect(second.ending).toBeUndefined();
    expect(bench.dispatcher.sessionCount).toBe(1);
  });

  test('on another manager cuts this one when it is committed', async () => {
    const end = bench.connect(node);
    await bench.pass();
    const observe = (id: string): void => {
      const session = {
        id,
        daemonVersion: '1',
        executors: [],
      };
      bench.cluster.apply({
        kind: 'nodes.observe',
        nodes: [{ id: node, state: 'READY', message: '', session }],
      });
    };
    observe(end.sessionId);
    await bench.pass();
    expect(end.ending).toBeUndefined();
    observe('somebody/else');
    await bench.pass();
    expect(end.ending).toEqual({ code: 'CV_SESSION_INVALID' });
  });

  test('is known to the leader: what it calls invalid is cut', async () => {
    const end = bench.connect(node);
    await bench.pass();
    bench.invalid = [end.sessionId];
    await bench.pass(500);
    expect(end.ending).toEqual({ code: 'CV_SESSION_INVALID' });
  });

  test('of several nodes in one entry cuts each of theirs', async () => {
    const two = bench.cluster.addWorker('two');
    const ends = [bench.connect(node), bench.connect(two)];
    await bench.pass();
    const nodes = ends.map((end) => ({
      id: end.nodeId,
      state: 'READY' as const,
      message: '',
      session: {
        id: end.sessionId,
        daemonVersion: '1',
        executors: [],
      },
    }));
    bench.cluster.apply({ kind: 'nodes.observe', nodes });
    const elsewhere = nodes.map((seen) => ({
      ...seen,
      session: { ...seen.session, id: `other/${seen.id}` },
    }));
    bench.cluster.apply({ kind: 'nodes.observe', nodes: elsewhere });
    await bench.pass();
    expect(ends.map((end) => end.ending?.code)).toEqual([
      'CV_SESSION_INVALID',
      'CV_SESSION_INVALID',
    ]);
  });
});

describe('what agents say', () => {
  test('a heartbeat that names another session ends this one', async () => {
    const end = bench.connect(node);
    await bench.pass();
    end.stream.send({ heartbeat: { sessionId: end.sessionId } });
    await bench.pass();
    expect(end.ending).toBeUndefined();
    end.stream.send({ heartbeat: { sessionId: 'another' } });
    await bench.pass();
    expect(end.ending).toEqual({ code: 'CV_ARGUMENT_INVALID' });
  });

  test('a report is confirmed when it is committed, in order', async () => {
    const task = bench.work.task(node, []);
    const end = bench.connect(node);
    await bench.pass();
    end.report(1, { taskId: task, state: 'STARTING' });
    end.report(2, { taskId: task, state: 'RUNNING' });
    await bench.pass(5);
    expect(end.confirmed).toEqual([]);
    await bench.pass(50);
    expect(end.confirmed).toEqual([1, 2]);
    expect(bench.cluster.state.taskById(task)?.state).toBe('RUNNING');
  });

  test('a report that cannot be committed now is tried again', async () => {
    const task = bench.work.task(node, []);
    const end = bench.connect(node);
    await bench.pass();
    bench.commitFailure = new ConclaveError('CV_NO_LEADER', 'there is no leader');
    end.report(1, { taskId: task });
    await bench.pass(1_000);
    expect(end.confirmed).toEqual([]);
    bench.commitFailure = undefined;
    await bench.pass(1_000);
    expect(end.confirmed).toEqual([1]);
  });

  test('a report about a task that nobody knows does not make its agent silent', async () => {
    const end = bench.connect(node);
    await bench.pass();
    bench.hasLeader = false;
    const other = { taskId: createId(seededRandom(9)) };
    for (let batch = 1; batch <= UNCONFIRMED_BATCHES_MAX; batch += 1) end.report(batch, other);
    for (let second = 0; second < 120; second += 1) {
      end.stream.send({ heartbeat: { sessionId: end.sessionId } });
      await bench.pass(1_000);
    }
    expect(end.ending).toBeUndefined();
    expect(end.confirmed).toEqual([]);
    bench.hasLeader = true;
    await bench.pass(1_000);
    expect(end.confirmed).toEqual([1, 2, 3, 4]);
  });

  test.each(['taskReports', 'receiptReports'] as const)(
    'one of %s about the task of another node is refused',
    async (kind) => {
      const other = bench.cluster.addWorker('two');
      const task = bench.work.task(other, []);
      const end = bench.connect(node);
      await bench.pass();
      if (kind === 'taskReports') end.report(1, { taskId: task, state: 'FAILED' });
      else {
        const receipt = { taskId: task, target: 'db', secretId: 's', version: 1, atMs: 1 };
        end.stream.send({
          receiptReports: { batch: 1, reports: [{ ...receipt, outcome: 'delivered' }] },
        });
      }
      await bench.pass(100);
      expect(end.ending).toEqual({ code: 'CV_ROLE_FORBIDDEN' });
      expect(bench.cluster.state.taskById(task)?.state).toBe('ASSIGNED');
    },
  );

  test('a report with an unknown state, or too many in one batch, is refused', async () => {
    const end = bench.connect(node);
    await bench.pass();
    end.report(1, { taskId: 'x', state: 'FLYING' as never });
    await bench.pass();
    expect(end.ending).toEqual({ code: 'CV_ARGUMENT_INVALID' });
    const many = bench.connect(node);
    await bench.pass();
    many.report(1, ...Array.from({ length: 513 }, () => ({ taskId: 'x' })));
    await bench.pass();
    expect(many.ending).toEqual({ code: 'CV_LIMIT_EXCEEDED' });
  });

  test('an acknowledgement of what was not sent, or of a refusal, ends the session', async () => {
    const ahead = bench.connect(node);
    await bench.pass();
    ahead.acknowledge(2);
    await bench.pass();
    expect(ahead.ending).toEqual({ code: 'CV_PROTOCOL' });
    const refusing = bench.connect(node);
    await bench.pass();
    refusing.acknowledge(1, 'cannot be done');
    await bench.pass();
    expect(refusing.ending).toEqual({ code: 'CV_PROTOCOL' });
  });
});

describe('deliveries', () => {
  test('stop when no leader confirms the state, and go on when one does', async () => {
    const end = bench.connect(node);
    await bench.pass();
    end.takeAll();
    bench.hasLeader = false;
    await bench.pass(LEASE_MS);
    bench.work.secret('db', 'one');
    bench.work.task(node, [bench.work.binding('db')]);
    await bench.pass(1_000);
    expect(end.assignmentCount).toBe(0);
    bench.hasLeader = true;
    await bench.pass(500);
    expect([...end.takeAll().held.values()]).toEqual(['one']);
  });

  test('wait for an agent that does not acknowledge', async () => {
    const end = bench.connect(node);
    await bench.pass();
    end.open();
    for (let count = 0; count < 2 * UNACKED_MAX; count += 1) {
      bench.work.task(node, []);
      await bench.pass();
    }
    expect(end.assignmentCount).toBe(UNACKED_MAX);
    const agent = end.takeAll();
    await bench.pass();
    end.takeAll();
    expect(Object.keys(agent.tasks())).toHaveLength(2 * UNACKED_MAX);
  });

  test('go to the node that a change concerns, and to no other', async () => {
    const two = bench.cluster.addWorker('two');
    const ends = [bench.connect(node), bench.connect(two)] as const;
    await bench.pass();
    for (const end of ends) end.takeAll();
    bench.work.secret('db', 'one');
    bench.work.task(two, [bench.work.binding('db')]);
    await bench.pass();
    expect(ends.map((end) => end.assignmentCount)).toEqual([0, 1]);
  });

  test('a session that is cut gets nothing of what is committed after that', async () => {
    const end = bench.connect(node);
    await bench.pass();
    end.takeAll();
    end.stream.controller.abort(new ConclaveError('CV_UNAUTHENTICATED', 'removed'));
    bench.work.secret('db', 'one');
    bench.work.task(node, [bench.work.binding('db')]);
    await bench.pass(100);
    expect(end.stream.received).toEqual([]);
  });

  test('the availability of a node is told to that node only', async () => {
    const two = bench.cluster.addWorker('two');
    const ends = [bench.connect(node), bench.connect(two)] as const;
    await bench.pass();
    for (const end of ends) end.takeAll();
    bench.cluster.apply({
      kind: 'node.update',
      id: two,
      objectVersion: 0,
      availability: 'drain',
      labelsSet: {},
      labelsRemove: [],
    });
    await bench.pass();
    const infos = ends.map((end) =>
      end.stream.received.flatMap(({ info }) => (info ? [info] : [])),
    );
    expect(infos[0]).toEqual([]);
    expect(infos[1]?.map(({ availability }) => availability)).toEqual(['drain']);
  });

  test('all agents are told when certificates of workers are to live otherwise', async () => {
    const ends = [bench.connect(node), bench.connect(bench.cluster.addWorker('two'))];
    await bench.pass();
    for (const end of ends) end.takeAll();
    const change = (lives: { workerLifeMs?: number; managerLifeMs?: number }): void => {
      const { managerLifeMs, workerLifeMs } = lives;
      const certificates = { managerLifeMs, workerLifeMs, adminLifeMs: undefined };
      bench.cluster.apply({ kind: 'cluster.settings', objectVersion: 0, certificates });
    };
    const told = (): (number | undefined)[] =>
      ends.flatMap((end) =>
        end.stream.received.flatMap(({ info }) => (info ? [info.certificateLifeMs] : [])),
      );
    change({ managerLifeMs: 3_600_000 });
    await bench.pass();
    expect(told()).toEqual([]);
    change({ workerLifeMs: 7_200_000 });
    await bench.pass();
    expect(told()).toEqual([7_200_000, 7_200_000]);
  });

  test('all agents are told when the period has changed with their number', async () => {
    const end = bench.connect(node);
    await bench.pass();
    const before = end.accept.info?.heartbeatPeriodMs ?? 0;
    end.takeAll();
    // Managers are not agents, and a few agents more make no difference.
    for (let count = 0; count < 3; count += 1) bench.cluster.addWorker(`few ${count}`);
    await bench.pass();
    end.takeAll();
    for (let count = 0; count < 150; count += 1) bench.cluster.addWorker(`many ${count}`);
    await bench.pass();
    const told = end.stream.received.flatMap(({ info }) => (info ? [info.heartbeatPeriodMs] : []));
    expect(told.length).toBeGreaterThan(0);
    expect(told.length).toBeLessThan(4);
    expect(told.at(-1)).toBeGreaterThan(before * 1.05);
  });
});

test('closing ends every session and leaves no timer', async () => {
  const ends = [bench.connect(node), bench.connect(bench.cluster.addWorker('two'))];
  await bench.pass();
  bench.dispatcher.close();
  await bench.pass();
  expect(ends.map((end) => end.ending?.code)).toEqual(['CV_NO_LEADER', 'CV_NO_LEADER']);
  const before = bench.beats.length;
  await bench.pass(5_000);
  expect(bench.beats).toHaveLength(before);
  const late = bench.connect(node);
  await bench.pass();
  expect(late.ending).toEqual({ code: 'CV_NO_LEADER' });
});
