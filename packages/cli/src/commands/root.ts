import type { RootStatus } from '@conclave/client';
import type { CommandSpec } from '../command-spec.js';
import { checkDoneOptions, DONE_OPTIONS, printDone } from '../output/print.js';
import { progressLines } from './ring.js';
import { IDEMPOTENCY_OPTION, writeOptions } from './shared.js';

/** What a rotation of the root is at, in words. */
export function rootText({ generation, phase, waitingFor }: RootStatus): string {
  const waits = waitingFor.length === 0 ? '' : `; waits for ${waitingFor.join(', ')}`;
  switch (phase) {
    case '':
      return `number ${generation}`;
    case 'making':
    case 'spreading':
      return `number ${generation}; all nodes come to trust the next one${waits}`;
    case 'renewing':
      return `number ${generation}; all nodes get certificates under it${waits}`;
    default:
      return `number ${generation}; the one before is being dropped${waits}`;
  }
}

/** `keys rotate-root`: another root certificate. */
export const ROTATE_ROOT_COMMAND: CommandSpec = {
  path: 'keys rotate-root',
  summary: 'Give the cluster another root certificate and every node a new certificate',
  details: [
    'All nodes come to trust the new root besides the old one, then get certificates under it, and ' +
      'then the old one is dropped everywhere. It goes on by itself, also when the leader changes. ' +
      'A node that is down holds it up until it is back or removed, or, for a worker, until its ' +
      'certificate has ended: then it follows when it comes back. Tasks do not notice.',
    'Join tokens that are out end with it: make new ones. Administrators keep their contexts when ' +
      'they renew them (`conclave admin renew`) before the old root is dropped.',
  ],
  examples: ['conclave keys rotate-root --wait'],
  options: [
    {
      flags: '--compromised',
      help: 'no root of before may vouch for the new one: workers that are off too long join anew',
    },
    { flags: '--wait', help: 'return when no node trusts the old root any more' },
    IDEMPOTENCY_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: ['generation', 'phase', 'index'],
  run: async (call) => {
    checkDoneOptions(call);
    const client = await call.client();
    const distrustsFormer = call.flags.isOn('compromised');
    const { index } = await client.cluster.rotateRoot({ ...writeOptions(call), distrustsFormer });
    if (!call.flags.isOn('wait')) {
      const text = 'the rotation of the root has begun; see how far it is with: conclave status';
      await printDone(call, { text, data: { generation: 0, phase: 'making', index }, id: '' });
      return;
    }
    const { signal } = call.tools;
    const { generation, phase } = await client.cluster.waitForRoot({
      signal,
      onProgress: progressLines(call, rootText),
      afterIndex: index,
    });
    const text = [
      `every node is under root number ${generation}, and nobody trusts the one before`,
      'Join tokens of before have ended. Make new ones with: conclave token create worker',
    ].join('\n');
    await printDone(call, { text, data: { generation, phase, index }, id: String(generation) });
  },
};
