import { expect, test } from '@jest/globals';
import { explain, findFailure, Store, StoreInSimulation } from '../../examples/guides/simulate.js';
import type { Command } from '../../src/sim/index.js';

const seeds = { from: 1, count: 6 };

test('the store of the guide withstands the simulator', () => {
  expect(findFailure(() => new StoreInSimulation(), seeds)).toBeUndefined();
});

/** Forgets who asked: what is asked twice takes effect twice. */
class ForgetfulStore extends Store {
  override execute(command: Command): number {
    this.state = { ...this.state, sessions: {} };
    return super.execute(command);
  }
}

/** Leaves out of its snapshots who did what. */
class CarelessStore extends Store {
  override save(): string {
    return JSON.stringify({ ...this.state, sessions: {} });
  }
}

/** Counts what it has applied in this life, which no other member knows. */
class LocalStore extends Store {
  #applied = 0;

  override execute(command: Command): number {
    return super.execute({ ...command, value: command.value + (++this.#applied > 40 ? 1 : 0) });
  }
}

test.each([
  ['sessions that are forgotten', '11 ', ForgetfulStore],
  ['a snapshot that is not complete', '4 same state', CarelessStore],
  ['a result that depends on the process', '4 same state', LocalStore],
])('the simulator notices %s', (_, invariant, Wrong) => {
  const createMachine = (): StoreInSimulation => new StoreInSimulation(new Wrong());
  const failed = findFailure(createMachine, { from: 1, count: 300 });
  expect(failed?.failure?.invariant).toContain(invariant);
  expect(failed!.lines.length).toBeGreaterThan(0);
});

test('a failure is explained by the faults and operations that lead to it', () => {
  const createMachine = (): StoreInSimulation => new StoreInSimulation(new LocalStore());
  const failed = findFailure(createMachine, { from: 1, count: 300 })!;
  const text = explain(failed, createMachine);
  expect(text).toContain('client 0: write');
  expect(text.split('\n').at(-1)).toContain(failed.failure!.invariant);
  expect(text.split('\n').length).toBeLessThan(failed.plan.length);
});
