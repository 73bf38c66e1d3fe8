import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DAMAGE_KINDS, damaged, decodeHostile, FUZZ_RUNS } from '@conclave/testing';
import { hasActiveSwap, mountOf, parseMountInfo } from '../src/mount-info.js';

const LINES = [
  '24 30 0:22 / /proc rw,nosuid shared:13 - proc proc rw',
  '98 30 0:45 / /run/conclave\\040x rw,nodev master:1 propagate_from:2 - tmpfs none rw,size=64k',
  '30 1 8:1 / / rw - ext4 /dev/sda1 rw',
].join('\n');

// Other users of a host choose names of mount points.
test('hostile lines of mountinfo are left out, or have every field', () => {
  const damages = fc.array(
    fc.record({
      kind: fc.constantFrom(...DAMAGE_KINDS),
      at: fc.nat(),
      value: fc.integer({ min: 0, max: 255 }),
    }),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(damages, fc.string({ unit: 'binary' }), (how, invented) => {
      for (const text of [Buffer.from(damaged(Buffer.from(LINES), how)).toString(), invented]) {
        const lines = decodeHostile(
          () => parseMountInfo(text),
          () => false,
        );
        if (lines === undefined) throw new Error('it reads any text');
        expect(lines.length).toBeLessThanOrEqual(text.split('\n').length);
        for (const line of lines) {
          for (const part of [line.device, line.root, line.mountPoint, line.fileSystem]) {
            expect(typeof part).toBe('string');
          }
        }
        const found = mountOf(lines, '/run/conclave x/tasks');
        if (found !== undefined) expect(lines).toContain(found);
        expect(typeof hasActiveSwap(text)).toBe('boolean');
      }
    }),
    { numRuns: FUZZ_RUNS },
  );
});
