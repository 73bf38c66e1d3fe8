import type { Entry } from 'raft-ts';
import { decodeCommand, runSimulation, shrink } from 'raft-ts/sim';
import type { Command, RunResult, Scenario, SimStateMachine } from 'raft-ts/sim';

// #region store
interface State {
  readonly values: { [key: number]: number };
  readonly sessions: { [client: number]: { sequence: number; result: number } };
}

/** The state machine of an application: registers, and what each client did last. */
export class Store {
  state: State = { values: {}, sessions: {} };

  /** @returns 1: it took effect; 0: it did not */
  execute({ client, sequence, operation, key, value, expected }: Command): number {
    const { values, sessions } = this.state;
    // A client that got no answer asks again: it must get the old one.
    const last = sessions[client];
    if (last !== undefined && sequence <= last.sequence) return last.result;
    const isWanted = operation === 0 || (values[key] ?? 0) === expected;
    if (isWanted) values[key] = value;
    sessions[client] = { sequence, result: isWanted ? 1 : 0 };
    return isWanted ? 1 : 0;
  }

  /** The whole state, the same text for the same state. */
  save(): string {
    return JSON.stringify(this.state);
  }

  load(text: string): void {
    this.state = JSON.parse(text) as State;
  }
}
// #endregion

// #region adapter
/** What the simulator needs to see of it. */
export class StoreInSimulation implements SimStateMachine {
  readonly #store: Store;

  constructor(store: Store = new Store()) {
    this.#store = store;
  }

  apply(entry: Entry): number {
    const command = decodeCommand(entry.data);
    return command === undefined ? 0 : this.#store.execute(command);
  }

  read(key: number): number {
    return this.#store.state.values[key] ?? 0;
  }

  /** Of the state itself, not of its snapshot: that one may lack something. */
  checksum(): number {
    const text = JSON.stringify(this.#store.state);
    let hash = 0;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
    return hash >>> 0;
  }

  snapshot(): Uint8Array {
    return new TextEncoder().encode(this.#store.save());
  }

  restore(data: Uint8Array): void {
    const text = new TextDecoder().decode(data);
    this.#store.load(text === '' ? '{"values":{},"sessions":{}}' : text);
  }
}
// #endregion

// #region run
/** Runs seeds until an invariant breaks; undefined: none did. */
export function findFailure(
  createMachine: () => SimStateMachine,
  seeds: { readonly from: number; readonly count: number },
): RunResult | undefined {
  for (let seed = seeds.from; seed < seeds.from + seeds.count; seed++) {
    const result = runSimulation({ seed, createMachine, parameters: { eventsMax: 3_000 } });
    if (result.failure !== undefined) return result;
  }
  return undefined;
}
// #endregion

// #region explain
/** What happened, in as few faults and operations as could be found. */
export function explain(failed: RunResult, createMachine: () => SimStateMachine): string {
  const scenario: Scenario = shrink(failed, { createMachine, runsMax: 50 });
  const script: string[] = [];
  const { failure } = runSimulation({ ...scenario, createMachine, script });
  return [...script, String(failure)].join('\n');
}
// #endregion
