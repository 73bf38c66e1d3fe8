import { ConclaveError } from '@conclave/kernel';
import { parseDuration } from './spec/duration.js';

/** A mistake in what was typed, with the field that it is about. */
export function usageError(message: string, hint?: string): ConclaveError {
  return new ConclaveError('CV_ARGUMENT_INVALID', message, hint === undefined ? {} : { hint });
}

/** The options of one run, by name in camel case. Errors name the option, never its text. */
export class Flags {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** The text of an option, `undefined` when it was not given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** True when a switch was given. */
  isOn(name: string): boolean {
    return this.#values[name] === true;
  }

  /** The texts of an option that may be repeated, in order. */
  list(name: string): readonly string[] {
    const value = this.#values[name];
    if (!Array.isArray(value)) return [];
    return value.filter((item): item is string => typeof item === 'string');
  }

  /** A whole number within the bounds. @throws CV_ARGUMENT_INVALID */
  count(name: string, bounds: { min: number; max: number }): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : parseCount(`--${kebab(name)}`, text, bounds);
  }

  /** Milliseconds of a duration such as `5s`. @throws CV_ARGUMENT_INVALID */
  durationMs(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : parseDuration(`--${kebab(name)}`, text);
  }

  /** One of the words. @throws CV_ARGUMENT_INVALID */
  choice<const Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) throw usageError(`--${kebab(name)} must be one of ${words.join(', ')}`);
    return word;
  }
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A whole number written in decimal digits. @throws CV_ARGUMENT_INVALID */
export function parseCount(
  what: string,
  text: string,
  bounds: { min: number; max: number },
): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < bounds.min || value > bounds.max) {
    throw usageError(`${what} must be a whole number from ${bounds.min} to ${bounds.max}`);
  }
  return value;
}
