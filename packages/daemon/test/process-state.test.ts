import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { HostWatch } from '../src/host-watch.js';
import {
  describeProcess,
  readProcessState,
  refuseWeakness,
  weaknessesOf,
} from '../src/process-state.js';
import { WORKER_CAPABILITIES } from '../src/process-state.js';
import type { ProcessState } from '../src/process-state.js';

const ROOT = join(import.meta.dirname, '../../..');
const HARDENED: ProcessState = {
  isProtoRefused: true,
  isEvalRefused: true,
  secureHeapBytes: 1 << 20,
  isCoreOff: true,
  capabilities: WORKER_CAPABILITIES,
};

describe('what a process lacks', () => {
  test.each<[Partial<ProcessState>, readonly string[]]>([
    [{}, []],
    [{ capabilities: [] }, []],
    [{ isProtoRefused: false }, ['--disable-proto=throw']],
    [{ isEvalRefused: false }, ['--disallow-code-generation-from-strings']],
    [{ secureHeapBytes: 0 }, ['--secure-heap']],
    [{ isCoreOff: false }, ['a limit of 0 for core files']],
    [{ capabilities: [21, 12] }, ['a bounded set of capabilities']],
  ])('%j', (change, missing) => {
    expect(weaknessesOf({ ...HARDENED, ...change })).toEqual(missing);
  });

  test('is seen of this process, which has no launcher', () => {
    expect(readProcessState()).toMatchObject({
      isProtoRefused: false,
      isEvalRefused: false,
      secureHeapBytes: 0,
    });
    expect(describeProcess('worker')).toMatch(/^weak, runs without --disable-proto=throw, .*; /);
  });
});

describe('a process that its launcher did not start', () => {
  test.each([
    { isProtoRefused: false },
    { isEvalRefused: false },
    { secureHeapBytes: 0 },
    { isCoreOff: false },
  ])('is refused: %j', (change) => {
    expect(() => refuseWeakness({ ...HARDENED, ...change })).toThrow(
      expect.objectContaining({ code: 'CV_ENVIRONMENT_REFUSED' }),
    );
  });

  test('is accepted when it lacks nothing, or only somebody to take rights away', () => {
    expect(() => refuseWeakness(HARDENED)).not.toThrow();
    expect(() => refuseWeakness({ ...HARDENED, capabilities: [12, 21] })).not.toThrow();
  });
});

describe('the launcher', () => {
  const launcher = readFileSync(join(ROOT, 'packages/cli/src/launch/conclaved.sh'), 'utf8');
  const unit = readFileSync(join(ROOT, 'deploy/systemd/conclaved-worker.service'), 'utf8');
  const namesIn = (text: string, pattern: RegExp): string[] =>
    [...text.matchAll(pattern)].map(([, name = '']) => name.toLowerCase()).sort();

  test('leaves the rights that the unit of workers leaves, and those alone', () => {
    const line = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1] ?? '';
    const wanted = namesIn(line, /CAP_(\w+)/g);
    expect(wanted).toHaveLength(WORKER_CAPABILITIES.length);
    expect(namesIn(launcher, /\+(\w+)/g)).toEqual(wanted);
    expect(launcher).toContain('rights=-all,');
  });
});

describe('watching the host', () => {
  test('tells when swap is turned on and off again, each once', () => {
    let isSwapActive = false;
    let look = (): void => undefined;
    const told: string[] = [];
    const tell = (event: string): number => told.push(event);
    const watch = new HostWatch({
      logger: { debug: tell, info: tell, warn: tell, error: tell } as never,
      timers: {
        after: () => ({ cancel: () => undefined }),
        every: (_ms, callback) => {
          look = callback;
          return { cancel: () => told.push('cancelled') };
        },
      },
      isSwapActive: () => isSwapActive,
    });
    look();
    isSwapActive = true;
    look();
    look();
    isSwapActive = false;
    look();
    watch.close();
    expect(told).toEqual(['process.weak', 'host.swap-on', 'host.swap-off', 'cancelled']);
  });
});
