import { describe, expect, test } from '@jest/globals';
import type { RunResult, SimParameters } from 'raft-ts/sim';
import { runSimulation, shrink, writeScript } from 'raft-ts/sim';
import { parseTranscript, renderTranscript } from '../transcript/support/blocks.js';
import { startScenario } from '../transcript/raft/runner/commands.js';

/** What the nodes of a script really print. */
function replay(script: string): string {
  const transcript = parseTranscript(script);
  return renderTranscript(transcript, transcript.blocks.map(startScenario()));
}

const scriptOf = (run: RunResult): string => {
  const { script, misfit } = writeScript(run);
  if (script === undefined) throw new Error(`seed ${run.seed}: ${misfit}`);
  return script;
};

describe('runs as scripts', () => {
  const SEEDS = 60;
  /** Short, and without most of what does not fit. */
  const FITTING: Partial<SimParameters> = {
    eventsMax: 250,
    checkQuorum: false,
    answerMicrosSpread: 0,
    diskMicrosMin: 10,
    diskMicrosSpread: 1,
    snapshotAbsence: 0,
    snapshotStaleness: 0,
    tearsWrites: false,
  };

  test(`${SEEDS} seeds: whatever can be written prints the same when it is replayed`, () => {
    const misfits = new Map<string, number>();
    let blocks = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = runSimulation({ seed, parameters: FITTING });
      expect(run.failure).toBeUndefined();
      const { script, misfit } = writeScript(run);
      if (script === undefined) {
        misfits.set(misfit, (misfits.get(misfit) ?? 0) + 1);
        continue;
      }
      blocks += parseTranscript(script).blocks.length;
      expect([seed, replay(script)]).toEqual([seed, script]);
    }
    expect(blocks).toBeGreaterThan(100 * SEEDS);
    const count = [...misfits.values()].reduce((sum, n) => sum + n, 0);
    expect(count).toBeLessThan(0.6 * SEEDS);
  });
});

/** A mistake that is made by a parameter: votes are asked for before the own one is durable. */
describe('a seeded mistake', () => {
  const MISTAKE: Partial<SimParameters> = {
    voters: 3,
    learners: 0,
    asyncStorageWrites: true,
    deferVoteRequests: false,
    eventsMax: 4000,
  };

  test('is found, made smaller, and written as a script that shows it', () => {
    const found = runSimulation({ seed: 8, parameters: MISTAKE });
    expect(found.failure?.invariant).toBe('6 durable before sent');
    const small = shrink(found, { runsMax: 200 });
    const failed = runSimulation(small);
    const script = scriptOf(failed);
    expect(script).toMatch(/^# Seed 8: 6 durable before sent: \d sends MsgVote/);
    // The mistake is in the script as an option, and the script shows what it leads to.
    expect(replay(script)).toBe(script);
    expect(script).toMatch(/\nprocess-ready \d\n----\nReady MustSync=true:\n[^]*\n\d->\d MsgVote /);
    // Without it, the same commands print something else: kept as a transcript, it would fail.
    const mended = script.replace(' defer-vote-requests=false', '');
    expect(replay(mended)).not.toBe(mended);
    expect(replay(mended)).toMatch(/Responses:\[\n[^\]]*->\d MsgVote /);
  });

  test('what does not fit is named', () => {
    const run = runSimulation({ seed: 1, parameters: { eventsMax: 100, checkQuorum: true } });
    expect(writeScript(run).misfit).toMatch(/^leases count ticks/);
    const long = runSimulation({ seed: 3, parameters: { eventsMax: 8000, checkQuorum: false } });
    expect(writeScript(long).misfit).toEqual(expect.any(String));
  });
});
