import type { RingStatus } from '@conclave/client';
import type { Call, CommandSpec } from '../command-spec.js';
import { checkDoneOptions, DONE_OPTIONS, printDone } from '../output/print.js';
import { IDEMPOTENCY_OPTION, plural, writeOptions } from './shared.js';

/** What a rotation is at, in words. */
export function ringText({ keyId, phase, remaining, waitingFor }: RingStatus): string {
  const waits = waitingFor.length === 0 ? '' : `; waits for ${waitingFor.join(', ')}`;
  switch (phase) {
    case '':
      return `version ${keyId}`;
    case 'offering':
    case 'spreading':
      return `version ${keyId}; a new one goes to all managers${waits}`;
    case 'rewrapping':
      return `version ${keyId}; ${plural(remaining, 'version')} of secrets to move to it`;
    default:
      return `version ${keyId}; the old one is being dropped${waits}`;
  }
}

/** Tells a person who waits for a rotation how far it is, once for each change. */
export function progressLines<Status>(
  call: Call,
  textOf: (status: Status) => string,
): (status: Status) => void {
  const { stderr } = call.io;
  let shown = '';
  return (status) => {
    const text = textOf(status);
    if (stderr.isTerminal && text !== shown) void stderr.write(`${text}\n`).catch(() => undefined);
    shown = text;
  };
}

/** `keys rotate`: a new version of the key ring. */
export const ROTATE_RING_COMMAND: CommandSpec = {
  path: 'keys rotate',
  summary: 'Give the cluster a new key and move every secret to it',
  details: [
    'New values are sealed under the new version of the key ring as soon as every manager holds it;',
    'what is there is moved to it, and then all managers drop the old version for good. It goes on',
    'by itself, also when the leader changes. A manager that is down holds it up until it is back or',
    'removed. Tasks and their files do not notice.',
  ],
  examples: ['conclave keys rotate --wait'],
  options: [
    { flags: '--wait', help: 'return when the old version is gone from every manager' },
    IDEMPOTENCY_OPTION,
    ...DONE_OPTIONS,
  ],
  fields: ['keyId', 'phase', 'index'],
  run: async (call) => {
    checkDoneOptions(call);
    const client = await call.client();
    const { index } = await client.cluster.rotateRing(writeOptions(call));
    if (!call.flags.isOn('wait')) {
      const text = 'the rotation has begun; see how far it is with: conclave status';
      await printDone(call, { text, data: { keyId: 0, phase: 'offering', index }, id: '' });
      return;
    }
    const { signal } = call.tools;
    const onProgress = progressLines(call, ringText);
    const { keyId, phase } = await client.cluster.waitForRing({
      signal,
      onProgress,
      afterIndex: index,
    });
    const text = `everything is under version ${keyId} of the key ring, and the old one is gone`;
    await printDone(call, { text, data: { keyId, phase, index }, id: String(keyId) });
  },
};
