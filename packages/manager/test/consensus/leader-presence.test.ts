import { describe, expect, test } from '@jest/globals';
import { LEADER_WAIT_MS, LeaderPresence } from '../../src/consensus/leader-presence.js';

/** A presence whose time is `at.ms`. */
function presenceAt(at: { ms: number }): LeaderPresence {
  return new LeaderPresence({ now: () => 0, monotonic: () => at.ms });
}

describe('how long a call waits for a leader', () => {
  test('a manager that has just started is given the time of an election', () => {
    const at = { ms: 100 };
    const presence = presenceAt(at);
    expect(presence.patienceMs).toBe(LEADER_WAIT_MS);
    at.ms += 1_000;
    expect(presence.patienceMs).toBe(LEADER_WAIT_MS - 1_000);
  });

  test('nobody waits any more when the election should long be over', () => {
    const at = { ms: 0 };
    const presence = presenceAt(at);
    presence.see(7);
    at.ms = 50_000;
    presence.see(0);
    at.ms += LEADER_WAIT_MS - 1;
    // Terms that nobody wins do not begin the wait anew.
    presence.see(0);
    expect(presence.patienceMs).toBe(1);
    at.ms += 2;
    expect(presence.patienceMs).toBe(0);
  });

  test('a leader ends the absence, and the next one is waited for in full', () => {
    const at = { ms: 0 };
    const presence = presenceAt(at);
    at.ms = 10_000;
    presence.see(7);
    expect(presence.patienceMs).toBe(LEADER_WAIT_MS);
    presence.see(0);
    expect(presence.patienceMs).toBe(LEADER_WAIT_MS);
  });
});
