import { describe, expect, test } from '@jest/globals';
import { DiskRoom } from '../src/disk-room.js';

const at = (nowMs: { value: number }): { now(): number; monotonic(): number } => ({
  now: () => nowMs.value,
  monotonic: () => nowMs.value,
});

describe('the room on the disk of the managers', () => {
  test('a nearly full disk refuses new writes until there is room again', () => {
    const now = { value: 0 };
    let free = 10;
    const room = new DiskRoom('/data', at(now), () => ({ freeBytes: free, allBytes: 1_000 }));
    expect(() => room.check()).toThrow(expect.objectContaining({ code: 'CV_DISK_FULL' }));
    free = 500;
    // One look counts for half a second.
    expect(() => room.check()).toThrow(expect.objectContaining({ code: 'CV_DISK_FULL' }));
    now.value = 500;
    expect(() => room.check()).not.toThrow();
  });

  test('on a large disk the reserve is bounded', () => {
    const gib = 1024 ** 3;
    const sizes = { freeBytes: gib / 8, allBytes: 100 * gib };
    expect(() => new DiskRoom('/data', at({ value: 0 }), () => sizes).check()).not.toThrow();
  });
});
