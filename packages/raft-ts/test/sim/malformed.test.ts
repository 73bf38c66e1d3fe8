import { expect, test } from '@jest/globals';
import { decodeConfChange, MemoryStorage, RawNode, StepError } from '../../src/index.js';
import { coreOf } from '../../src/raw-node.js';
import { malformedMessage } from '../../src/sim/malformed.js';

function settle(node: RawNode, storage: MemoryStorage): void {
  while (node.hasReady()) {
    const { entries, hardState, committedEntries } = node.ready();
    storage.append(entries);
    if (hardState !== undefined) storage.setHardState(hardState);
    for (const entry of committedEntries) {
      if (entry.type !== 'EntryNormal') node.applyConfChange(decodeConfChange(entry));
    }
    node.advance();
  }
}

function leader(): RawNode {
  const storage = new MemoryStorage();
  const config = { electionTick: 10, heartbeatTick: 1, maxInflightMsgs: 8, random: () => 0 };
  const node = new RawNode({ id: 1, storage, ...config });
  node.bootstrap([{ id: 1 }]);
  settle(node, storage);
  node.campaign();
  settle(node, storage);
  return node;
}

test.each(Array.from({ length: 30 }, (_, raw) => raw))(
  'message %i that no member sends is refused, and nothing changes',
  (raw) => {
    const node = leader();
    const before = node.basicStatus();
    expect(before.raftState).toBe('StateLeader');
    const message = malformedMessage(coreOf(node), 2, raw);
    expect(() => {
      node.step(message);
    }).toThrow(StepError);
    expect(node.basicStatus()).toEqual(before);
    expect(node.hasReady()).toBe(false);
  },
);
