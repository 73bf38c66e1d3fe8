import { beforeEach, describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { encodeCommand } from '@conclave/state';
import { ManagersService } from '../../src/consensus/managers-service.js';
import { callOf } from '../calls.js';
import { FoundedCluster, SYSTEM } from '../founded-cluster.js';

let cluster: FoundedCluster;
let callerId: string;
let proposed: number;

/** The service of a manager that applies what it had missed as soon as it waits for that. */
function serviceThatLags(): ManagersService {
  return serviceThat(() => cluster.apply({ kind: 'node.remove', id: callerId, force: true }));
}

function serviceThat(appliesMeanwhile: () => unknown): ManagersService {
  const catchUp = (): Promise<void> => {
    appliesMeanwhile();
    return Promise.resolve();
  };
  return new ManagersService({
    state: () => cluster.state,
    keys: cluster.keys,
    propose: () => {
      proposed += 1;
      return Promise.resolve({ index: 1, result: { ok: true, fields: {} } as never });
    },
    beat: () => Promise.resolve([]),
    compare: (_managerId, theirs) => theirs,
    confirmed: catchUp,
    confirm: catchUp,
    taskLogs: async function* none() {},
    clock: cluster.time,
    random: cluster.random,
    logger: SILENT_LOGGER,
  });
}

function proposeTo(service: ManagersService): ReturnType<ManagersService['propose']> {
  const rotate = { kind: 'ring.rotate', atMs: 0, by: SYSTEM, request: undefined } as const;
  const commands = [Buffer.from(encodeCommand(rotate))];
  const caller = callOf({ kind: 'node', id: callerId, role: 'manager' } as never);
  return service.propose(caller, { commands });
}

beforeEach(async () => {
  cluster = await FoundedCluster.running();
  callerId = cluster.addManager('beta', 2);
  proposed = 0;
});

describe('a manager that was removed, asking one whose tables still list it', () => {
  test('gets no key ring', async () => {
    const service = serviceThatLags();
    const caller = callOf({ kind: 'node', id: callerId, role: 'manager' } as never);
    await expect(service.getRing(caller)).rejects.toMatchObject({ code: 'CV_STATE_STALE' });
  });

  test('gets no command into the log', async () => {
    await expect(proposeTo(serviceThatLags())).rejects.toMatchObject({
      code: 'CV_ROLE_FORBIDDEN',
    });
    expect(proposed).toBe(0);
  });
});

describe('a manager on its way out of the quorum', () => {
  beforeEach(() => {
    cluster.apply({
      kind: 'node.membership',
      id: callerId,
      membership: 'voter',
      ringGeneration: undefined,
    });
  });

  test('proposes what is asked of it until it is out', async () => {
    const service = serviceThat(() =>
      cluster.apply({
        kind: 'node.membership',
        id: callerId,
        membership: 'removing',
        ringGeneration: undefined,
      }),
    );
    expect((await proposeTo(service)).outcomes).toHaveLength(1);
    expect(proposed).toBe(1);
  });

  test('proposes nothing any more when it was evicted', async () => {
    const service = serviceThat(() =>
      cluster.apply({ kind: 'compromise.begin', evict: [callerId], endsAdmins: true }),
    );
    await expect(proposeTo(service)).rejects.toMatchObject({ code: 'CV_ROLE_FORBIDDEN' });
    expect(cluster.state.nodeById(callerId)?.manager?.membership).toBe('removing');
    expect(proposed).toBe(0);
  });
});
