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
  const catchUp = (): Promise<void> => {
    cluster.apply({ kind: 'node.remove', id: callerId, force: true });
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
    const service = serviceThatLags();
    const rotate = { kind: 'ring.rotate', atMs: 0, by: SYSTEM, request: undefined } as const;
    const commands = [Buffer.from(encodeCommand(rotate))];
    const caller = callOf({ kind: 'node', id: callerId, role: 'manager' } as never);
    await expect(service.propose(caller, { commands })).rejects.toMatchObject({
      code: 'CV_ROLE_FORBIDDEN',
    });
    expect(proposed).toBe(0);
  });
});
