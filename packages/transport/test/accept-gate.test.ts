import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AcceptGate, rateUnit } from '../src/accept-gate.js';
import * as limits from '../src/limits.js';

function gateAt(
  address = { perSecond: 2, burst: 3 },
  total = { perSecond: 1e6, burst: 1e6 },
): { gate: AcceptGate; time: { ms: number } } {
  const time = { ms: 0 };
  const clock = { now: () => 0, monotonic: () => time.ms };
  return { gate: new AcceptGate(clock, { address, total }), time };
}

describe('the gate', () => {
  test('lets a burst through, then the rate', () => {
    const { gate, time } = gateAt();
    const admitted = (): boolean => gate.admit('a') === undefined;
    expect([admitted(), admitted(), admitted()]).toEqual([true, true, true]);
    expect(gate.admit('a')).toBe('rate');
    expect(gate.admit('b')).toBeUndefined();
    time.ms = 500;
    expect(gate.admit('a')).toBeUndefined();
    expect(gate.admit('a')).toBe('rate');
  });

  test('a long pause gives back no more than a burst', () => {
    const { gate, time } = gateAt();
    time.ms = 1_000_000;
    for (let count = 0; count < 3; count += 1) expect(gate.admit('a')).toBeUndefined();
    expect(gate.admit('a')).toBe('rate');
  });

  test('bounds the unfinished connections of an address', () => {
    const { gate } = gateAt({ perSecond: 1, burst: 1_000 });
    for (let count = 0; count < limits.PENDING_PER_ADDRESS_MAX; count += 1) {
      expect(gate.admit('a')).toBeUndefined();
    }
    expect(gate.admit('a')).toBe('pending');
    gate.settled('a');
    expect(gate.admit('a')).toBeUndefined();
  });

  test('bounds the rate of all, and a fast address does not use it up', () => {
    const { gate, time } = gateAt({ perSecond: 0, burst: 1 }, { perSecond: 1, burst: 2 });
    expect(gate.admit('a')).toBeUndefined();
    for (let count = 0; count < 10; count += 1) expect(gate.admit('a')).toBe('rate');
    expect(gate.admit('b')).toBeUndefined();
    expect(gate.admit('c')).toBe('rate');
    time.ms = 1_000;
    expect(gate.admit('d')).toBeUndefined();
  });

  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('%s counts as %s', (address, unit) => {
    expect(rateUnit(address)).toBe(unit);
  });

  test('the addresses of one IPv6 host share its rate', () => {
    const { gate } = gateAt();
    for (let count = 0; count < 3; count += 1) {
      expect(gate.admit(`2001:db8::${count}`)).toBeUndefined();
    }
    expect(gate.admit('2001:db8::ffff')).toBe('rate');
    gate.settled('2001:db8::1');
  });

  test('bounds all connections', () => {
    const { gate } = gateAt();
    for (let count = 0; count < limits.CONNECTION_COUNT_MAX; count += 1) {
      expect(gate.admit(`a${count}`)).toBeUndefined();
      gate.settled(`a${count}`);
    }
    expect(gate.admit('b')).toBe('connections');
    gate.closed();
    expect(gate.admit('c')).toBeUndefined();
  });

  test('an address cannot get a new burst by making the gate forget it', () => {
    const { gate } = gateAt({ perSecond: 0, burst: 1 });
    expect(gate.admit('victim')).toBeUndefined();
    for (let count = 0; count < limits.ADDRESS_COUNT_MAX + 10; count += 1) {
      expect(gate.admit(`a${count}`)).not.toBe('rate');
      gate.settled(`a${count}`);
      gate.closed();
    }
    // Its connection is still in its handshake, so it was not forgotten.
    expect(gate.admit('victim')).toBe('rate');
  });

  test('over any history an address never gets more than burst plus rate', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 700 }), { maxLength: 200 }), (pauses) => {
        const { gate, time } = gateAt();
        let admitted = 0;
        for (const pause of pauses) {
          time.ms += pause;
          if (gate.admit('a') !== undefined) continue;
          admitted += 1;
          gate.settled('a');
          gate.closed();
        }
        expect(admitted).toBeLessThanOrEqual(3 + Math.ceil((time.ms / 1_000) * 2));
        expect(gate.connectionCount).toBe(0);
      }),
    );
  });
});
