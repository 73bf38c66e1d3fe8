import type { Entry } from '../types.js';

/**
 * A replicated state, as it runs inside a simulation. Deterministic: the same entries lead to the
 * same checksum everywhere.
 */
export interface SimStateMachine {
  /** Applies a command; `data` is not empty. The result goes to the client that waits for it. */
  apply(entry: Entry): number;
  /** What a read of a key, 0..15, sees. */
  read(key: number): number;
  /** A number that differs, most likely, if states differ. */
  checksum(): number;
  /** The state in bytes. */
  snapshot(): Uint8Array;
  /** Replaces the state; `data` comes from `snapshot`, or is empty at the start. */
  restore(data: Uint8Array): void;
}

/** A command of a client, as it travels in an entry. */
export interface Command {
  readonly client: number;
  /** Number of the operation within the session of the client, from 1. */
  readonly sequence: number;
  /** 0: write; 1: write if the value is `expected`. */
  readonly operation: number;
  readonly key: number;
  readonly value: number;
  readonly expected: number;
}

const WORDS = 6;

/** The command in bytes. */
export function encodeCommand(command: Command): Uint8Array {
  const { client, sequence, operation, key, value, expected } = command;
  const words = Uint32Array.of(client, sequence, operation, key, value, expected);
  return new Uint8Array(words.buffer);
}

/** The command of an entry; undefined if it carries something else. */
export function decodeCommand(data: Uint8Array): Command | undefined {
  if (data.length !== WORDS * 4) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return {
    client: view.getUint32(0, true),
    sequence: view.getUint32(4, true),
    operation: view.getUint32(8, true),
    key: view.getUint32(12, true),
    value: view.getUint32(16, true),
    expected: view.getUint32(20, true),
  };
}

/** Result of a conditional write that found another value. */
export const NOT_EXPECTED = 0;
/** Result of a write that took effect. */
export const WRITTEN = 1;

const CLIENTS_MAX = 16;
const KEYS_MAX = 16;
const SIZE = 1 + KEYS_MAX + 2 * CLIENTS_MAX;

/**
 * Registers, written with or without a condition, with one session per client: a command that comes
 * twice takes effect once.
 */
export class RegisterMachine implements SimStateMachine {
  /** Checksum, values by key, and last sequence and result by client. */
  #state = new Uint32Array(SIZE);

  apply(entry: Entry): number {
    const state = this.#state;
    const command = decodeCommand(entry.data);
    this.#mix(entry.index);
    if (command === undefined) {
      this.#mix(entry.data.length);
      return 0;
    }
    const { client, sequence, operation, key, value, expected } = command;
    const session = 1 + KEYS_MAX + 2 * client;
    const last = state[session] as number;
    if (sequence <= last) return sequence === last ? (state[session + 1] as number) : NOT_EXPECTED;
    const isWanted = operation === 0 || state[1 + key] === expected;
    if (isWanted) {
      state[1 + key] = value;
      this.#mix(value);
    }
    state[session] = sequence;
    state[session + 1] = isWanted ? WRITTEN : NOT_EXPECTED;
    this.#mix(client);
    return state[session + 1] as number;
  }

  /** The value of a register; 0: never written. */
  read(key: number): number {
    return this.#state[1 + key] as number;
  }

  checksum(): number {
    return this.#state[0] as number;
  }

  snapshot(): Uint8Array {
    return new Uint8Array(this.#state.slice().buffer);
  }

  restore(data: Uint8Array): void {
    this.#state = new Uint32Array(SIZE);
    new Uint8Array(this.#state.buffer).set(data);
  }

  #mix(value: number): void {
    const hash = Math.imul((this.#state[0] as number) ^ value, 0x9e37_79b1);
    this.#state[0] = hash ^ (hash >>> 15);
  }
}
