import { expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { WriteMarks } from '../../src/consensus/write-marks.js';

interface Log {
  writeCounter: number;
  syncedCounter: number;
}

/** A manager with a log, and what it tells others. */
class Manager {
  readonly raftId: number;
  log: Log = { writeCounter: 0, syncedCounter: 0 };
  marks: WriteMarks;

  constructor(raftId: number) {
    this.raftId = raftId;
    this.marks = this.#start();
  }

  #start(): WriteMarks {
    return new WriteMarks(this.raftId, () => this.log, SILENT_LOGGER);
  }

  write(isSynced: boolean): void {
    this.log.writeCounter += 1;
    if (isSynced) this.log.syncedCounter = this.log.writeCounter;
  }

  tell(other: Manager): void {
    other.marks.learn(this.marks.current());
  }

  /** Starts again with what is on the disk. */
  restart(disk: number = this.log.writeCounter): void {
    this.log = { writeCounter: disk, syncedCounter: 0 };
    this.marks = this.#start();
  }
}

const ROLLED_BACK = expect.objectContaining({ code: 'CV_DISK_ROLLED_BACK' });

test('an older copy of a disk is noticed, by what a third manager has heard', async () => {
  const [leader, candidate, voter] = [new Manager(1), new Manager(2), new Manager(3)];
  for (let i = 0; i < 5; i++) voter.write(true);
  voter.tell(leader);
  leader.tell(candidate);
  voter.restart(3);
  expect(() => candidate.tell(voter)).toThrow(ROLLED_BACK as unknown as Error);
  await expect(voter.marks.rolledBack).resolves.toEqual(ROLLED_BACK);
  // It stays so, whoever asks and whatever is known.
  voter.log.writeCounter = 100;
  expect(() => new Manager(4).tell(voter)).toThrow(ROLLED_BACK as unknown as Error);
});

test('writes that were not synced may be lost', () => {
  const [one, other] = [new Manager(1), new Manager(2)];
  one.write(true);
  one.write(false);
  one.write(false);
  one.tell(other);
  one.restart(1);
  expect(() => other.tell(one)).not.toThrow();
});

test('a log that is not loaded yet is not compared', () => {
  const marks = new WriteMarks(1, () => undefined, SILENT_LOGGER);
  expect(() => marks.learn([{ raftId: 1, counter: 9 }])).not.toThrow();
  expect(marks.current()).toEqual([]);
});

test('two copies of one disk: the one behind is noticed', () => {
  const [one, clone, other] = [new Manager(1), new Manager(1), new Manager(2)];
  for (const copy of [one, clone]) copy.write(true);
  one.write(true);
  one.tell(other);
  expect(() => other.tell(clone)).toThrow(ROLLED_BACK as unknown as Error);
  expect(() => other.tell(one)).not.toThrow();
});

test('random lives: only a disk that lost a synced write is refused', () => {
  let state = 12_345;
  const below = (n: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  let noticed = 0;
  for (let run = 0; run < 300; run++) {
    const managers = [1, 2, 3].map((raftId) => new Manager(raftId));
    const isOld = run % 2 === 0;
    const victim = managers[below(3)]!;
    const synced = (): number => victim.log.syncedCounter;
    for (let i = 0; i < 40; i++) {
      const one = managers[below(3)]!;
      if (below(2) === 0) one.write(below(3) > 0);
      else one.tell(managers[below(3)]!);
    }
    victim.write(true);
    for (const other of managers) if (other !== victim) victim.tell(other);
    const lost = isOld ? 1 + below(synced()) : 0;
    const unsynced = victim.log.writeCounter - synced();
    victim.restart(synced() - lost + (isOld ? 0 : below(unsynced + 1)));
    const hear = (): void => {
      managers[below(3)]!.tell(victim);
      for (const other of managers) other.tell(victim);
    };
    if (isOld) expect(hear).toThrow(ROLLED_BACK as unknown as Error);
    else expect(hear).not.toThrow();
    noticed += isOld ? 1 : 0;
  }
  expect(noticed).toBe(150);
});
