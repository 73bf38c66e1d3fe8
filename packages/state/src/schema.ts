/** Bytes that decode but do not have the shape that is asked for. Never leaves this package. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
  /** From the outside in. */
  readonly path: string[] = [];
  readonly rule: string;

  constructor(rule: string) {
    super(rule);
    this.rule = rule;
  }

  /** Where and what, never the value. */
  describe(): string {
    return `${this.path.join('.')}: ${this.rule}`;
  }
}

/**
 * Checks a decoded value and gives it its type. Parsers that are `lenient` drop fields that they do
 * not know, which a newer minor version may have; the others refuse them.
 */
export type Parser<T> = (value: unknown, lenient: boolean) => T;

function fail(rule: string): never {
  throw new ShapeError(rule);
}

function at<T>(parser: Parser<T>, value: unknown, place: { key: string; lenient: boolean }): T {
  try {
    return parser(value, place.lenient);
  } catch (error) {
    if (error instanceof ShapeError) error.path.unshift(place.key);
    throw error;
  }
}

/** Where UTF-8 and back may not give the same text: decoders drop a mark, or replace what is half. */
const MARK = '\ufeff';
const HALF = /\p{Surrogate}/u;

/** A text, also an empty one. */
export const text: Parser<string> = (value) => {
  if (typeof value !== 'string') return fail('must be a text');
  if (value.startsWith(MARK)) return fail('may not begin with a byte order mark');
  return HALF.test(value) ? fail('has half a character') : value;
};

/** True or false. */
export const flag: Parser<boolean> = (value) =>
  typeof value === 'boolean' ? value : fail('must be true or false');

/** True and nothing else. */
export const yes: Parser<true> = (value) => (value === true ? true : fail('must be true'));

/** Bytes, also none. */
export const bytes: Parser<Uint8Array> = (value) =>
  value instanceof Uint8Array ? value : fail('must be bytes');

/** A whole number from 0. */
export const count: Parser<number> = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? (value as number)
    : fail('must be a whole number from 0');

/** A whole number with a sign. */
export const whole: Parser<number> = (value) =>
  Number.isSafeInteger(value) ? (value as number) : fail('must be a whole number');

/** One of these words. */
export function oneOf<const T extends string>(...words: readonly T[]): Parser<T> {
  return (value) => {
    const word = words.find((known) => known === value);
    return word ?? fail(`must be one of ${words.join(', ')}`);
  };
}

/** Absent, or what `parser` takes. */
export function optional<T>(parser: Parser<T>): Parser<T | undefined> {
  return (value, lenient) => (value === undefined ? undefined : parser(value, lenient));
}

/** Any number of items of one kind. */
export function list<T>(parser: Parser<T>): Parser<readonly T[]> {
  return (value, lenient) => {
    if (!Array.isArray(value)) return fail('must be a list');
    return value.map((item: unknown, place) => at(parser, item, { key: String(place), lenient }));
  };
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  );
}

/** Any keys, values of one kind. */
export function record<T>(parser: Parser<T>): Parser<Readonly<Record<string, T>>> {
  return (value, lenient) => {
    if (!isPlain(value)) return fail('must be a map');
    // From entries: a key called __proto__ is a key like any other.
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        text(key, lenient),
        at(parser, item, { key, lenient }),
      ]),
    );
  };
}

/** One parser for every field of `T`. */
export type Fields<T> = { readonly [Key in keyof T]-?: Parser<T[Key]> };

/** Exactly these fields; the result has all of them, in this order, absent ones as undefined. */
export function fields<T extends object>(parsers: Fields<T>): Parser<T> {
  const known = Object.entries(parsers) as [string, Parser<unknown>][];
  const names = new Set(known.map(([name]) => name));
  return (value, lenient) => {
    if (!isPlain(value)) return fail('must be a map');
    const parsed: Record<string, unknown> = {};
    for (const [key, parser] of known) parsed[key] = at(parser, value[key], { key, lenient });
    if (!lenient) refuseUnknown(value, names);
    return parsed as T;
  };
}

function refuseUnknown(value: object, names: ReadonlySet<string>): void {
  for (const key of Object.keys(value)) if (!names.has(key)) fail('has an unknown field');
}

type Parsers<T extends readonly unknown[]> = { readonly [Place in keyof T]: Parser<T[Place]> };

/** A list with one parser for every place; the items behind them are refused unless lenient. */
export function tuple<const T extends readonly unknown[]>(...parsers: Parsers<T>): Parser<T> {
  const places = parsers as readonly Parser<unknown>[];
  return (value, lenient) => {
    if (!Array.isArray(value)) return fail('must be a list');
    if (value.length > places.length && !lenient) return fail('has too many items');
    const parsed = places.map((parser, place) =>
      at(parser, value[place], { key: String(place), lenient }),
    );
    return parsed as unknown as T;
  };
}

/** A union told apart by the field `tag`. */
export function variants<T>(tag: string, parsers: Readonly<Record<string, Parser<T>>>): Parser<T> {
  return (value, lenient) => {
    if (!isPlain(value)) return fail('must be a map');
    const word = value[tag];
    const parser =
      typeof word === 'string' && Object.hasOwn(parsers, word) ? parsers[word] : undefined;
    return parser === undefined ? fail(`has an unknown ${tag}`) : parser(value, lenient);
  };
}
