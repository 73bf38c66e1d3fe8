import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AcceptGate, rateUnit } from '../src/accept-gate.js';
import { KnownAddresses } from '../src/known-addresses.js';
import * as limits from '../src/limits.js';

function gateAt(
  address = { perSecond: 2, burst: 3 },
  total = { perSecond: 1e6, burst: 1e6 },
  isAnonymous = false,
): { gate: AcceptGate; time: { ms: number } } {
  const time = { ms: 0 };
  const clock = { now: () => 0, monotonic: () => time.ms };
  const lane = { ...limits.ACCEPT_RULES.lanes.new, rate: total };
  const lanes = { manager: lane, known: lane, new: lane };
  return { gate: new AcceptGate(clock, { address, lanes, isAnonymous }), time };
}

describe('the gate', () => {
  test('lets a burst through, then the rate', () => {
    const { gate, time } = gateAt();
    const admitted = (): boolean => gate.admit('a', 'new') === undefined;
    expect([admitted(), admitted(), admitted()]).toEqual([true, true, true]);
    expect(gate.admit('a', 'new')).toBe('rate');
    expect(gate.admit('b', 'new')).toBeUndefined();
    time.ms = 500;
    expect(gate.admit('a', 'new')).toBeUndefined();
    expect(gate.admit('a', 'new')).toBe('rate');
  });

  test('a long pause gives back no more than a burst', () => {
    const { gate, time } = gateAt();
    time.ms = 1_000_000;
    for (let count = 0; count < 3; count += 1) expect(gate.admit('a', 'new')).toBeUndefined();
    expect(gate.admit('a', 'new')).toBe('rate');
  });

  test('bounds the unfinished connections of an address', () => {
    const { gate } = gateAt({ perSecond: 1, burst: 1_000 });
    for (let count = 0; count < limits.PENDING_PER_ADDRESS_MAX; count += 1) {
      expect(gate.admit('a', 'new')).toBeUndefined();
    }
    expect(gate.admit('a', 'new')).toBe('pending');
    gate.settled('a');
    expect(gate.admit('a', 'new')).toBeUndefined();
  });

  test('bounds the rate of all, and a fast address does not use it up', () => {
    const { gate, time } = gateAt({ perSecond: 0, burst: 1 }, { perSecond: 1, burst: 2 });
    expect(gate.admit('a', 'new')).toBeUndefined();
    for (let count = 0; count < 10; count += 1) expect(gate.admit('a', 'new')).toBe('rate');
    expect(gate.admit('b', 'new')).toBeUndefined();
    expect(gate.admit('c', 'new')).toBe('rate');
    time.ms = 1_000;
    expect(gate.admit('d', 'new')).toBeUndefined();
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
      expect(gate.admit(`2001:db8::${count}`, 'new')).toBeUndefined();
    }
    expect(gate.admit('2001:db8::ffff', 'new')).toBe('rate');
    gate.settled('2001:db8::1');
  });

  test('bounds all connections', () => {
    const { gate } = gateAt();
    for (let count = 0; count < limits.CONNECTION_COUNT_MAX; count += 1) {
      expect(gate.admit(`a${count}`, 'new')).toBeUndefined();
      gate.settled(`a${count}`);
    }
    expect(gate.admit('b', 'new')).toBe('connections');
    gate.closed('a', 'new');
    expect(gate.admit('c', 'new')).toBeUndefined();
  });

  test('each lane has its own rate and room', () => {
    const { gate } = gateAt({ perSecond: 0, burst: 1e6 }, { perSecond: 0, burst: 2 });
    for (const lane of ['new', 'known', 'manager'] as const) {
      expect([1, 2, 3].map(() => gate.admit('a', lane))).toEqual([undefined, undefined, 'rate']);
    }
    expect(gate.connectionCount).toBe(6);
  });

  test('an address of which nobody proves anything is done with when its connections close', () => {
    const { gate } = gateAt({ perSecond: 0, burst: 1e6 }, undefined, true);
    for (let count = 0; count < limits.PENDING_PER_ADDRESS_MAX; count += 1) {
      expect(gate.admit('a', 'new')).toBeUndefined();
      gate.settled('a');
    }
    expect(gate.admit('a', 'new')).toBe('pending');
    gate.closed('a', 'new');
    expect(gate.admit('a', 'new')).toBeUndefined();
  });

  test('an address cannot get a new burst by making the gate forget it', () => {
    const { gate } = gateAt({ perSecond: 0, burst: 1 });
    expect(gate.admit('victim', 'new')).toBeUndefined();
    for (let count = 0; count < limits.ADDRESS_COUNT_MAX + 10; count += 1) {
      expect(gate.admit(`a${count}`, 'new')).not.toBe('rate');
      gate.settled(`a${count}`);
      gate.closed('a', 'new');
    }
    // Its connection is still in its handshake, so it was not forgotten.
    expect(gate.admit('victim', 'new')).toBe('rate');
  });

  test('over any history an address never gets more than burst plus rate', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 700 }), { maxLength: 200 }), (pauses) => {
        const { gate, time } = gateAt();
        let admitted = 0;
        for (const pause of pauses) {
          time.ms += pause;
          if (gate.admit('a', 'new') !== undefined) continue;
          admitted += 1;
          gate.settled('a');
          gate.closed('a', 'new');
        }
        expect(admitted).toBeLessThanOrEqual(3 + Math.ceil((time.ms / 1_000) * 2));
        expect(gate.connectionCount).toBe(0);
      }),
    );
  });
});

describe('known addresses', () => {
  test('are those of listed managers and those where a certificate counted', () => {
    const known = new KnownAddresses((address) => address === '10.0.0.9');
    known.note('10.0.0.1', true);
    known.note('::ffff:10.0.0.2', false);
    known.note('2001:db8::1', false);
    const lanes = [
      '10.0.0.9',
      '::ffff:10.0.0.9',
      '10.0.0.1',
      '10.0.0.2',
      '2001:db8::2',
      '10.0.0.3',
    ];
    expect(lanes.map((address) => known.laneOf(address))).toEqual([
      'manager',
      'manager',
      'manager',
      'known',
      'known',
      'new',
    ]);
  });

  test('are whole where committed state lists them, also of IPv6', () => {
    const known = new KnownAddresses((address) => address === '2001:db8::7');
    expect(known.laneOf('2001:db8::7')).toBe('manager');
    expect(known.laneOf('2001:db8::7%eth0')).toBe('manager');
    expect(known.laneOf('2001:db8::8')).toBe('new');
  });

  test('many others do not push a manager out, and are bounded', () => {
    const known = new KnownAddresses(() => false);
    known.note('m', true);
    known.note('first', false);
    for (let count = 0; count < limits.ADDRESS_COUNT_MAX; count += 1)
      known.note(`a${count}`, false);
    expect(known.laneOf('m')).toBe('manager');
    expect(known.laneOf('first')).toBe('new');
    expect(known.laneOf('a0')).toBe('known');
  });
});
