import { describe, expect, test } from '@jest/globals';
import { message } from '../../src/index.js';
import type { NetworkMessage } from '../../src/index.js';
import type { MemberContext } from '../../src/node/context.js';
import { ReadyLoop } from '../../src/node/ready-loop.js';
import type { MemberParts } from '../../src/node/ready-loop.js';

function setup(isMuted: boolean) {
  const sent: NetworkMessage[] = [];
  const reports: [number, string][] = [];
  const context = {
    options: { transport: { send: (messages: NetworkMessage[]) => sent.push(...messages) } },
    raw: { reportSnapshot: (to: number, status: string) => reports.push([to, status]) },
  } as unknown as MemberContext;
  const guard = { isMuted, check: () => undefined };
  const loop = new ReadyLoop(context, { guard } as unknown as MemberParts);
  return { loop, sent, reports };
}

const CONF = { voters: [1], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
const MESSAGES: NetworkMessage[] = [
  message('MsgHeartbeat', { from: 1, to: 2, term: 1 }),
  message('MsgSnap', {
    from: 1,
    to: 3,
    term: 1,
    snapshot: { data: new Uint8Array(0), metadata: { index: 1, term: 1, confState: CONF } },
  }),
];

describe('a member that must be silent', () => {
  test('sends nothing, and reports snapshots it did not send', () => {
    const { loop, sent, reports } = setup(true);
    loop.send(MESSAGES);
    expect(sent).toEqual([]);
    expect(reports).toEqual([[3, 'failure']]);
  });

  test('any other sends and leaves the reports to the host', () => {
    const { loop, sent, reports } = setup(false);
    loop.send(MESSAGES);
    expect(sent).toEqual(MESSAGES);
    expect(reports).toEqual([]);
  });
});
