import { ConclaveError } from './errors.js';
import {
  FILE_MODE_MAX,
  LABEL_COUNT_MAX,
  LABEL_KEY_BYTES_MAX,
  LABEL_VALUE_BYTES_MAX,
  OBJECT_NAME_LENGTH_MAX,
  SECRET_NAME_BYTES_MAX,
  SECRET_SEGMENT_LENGTH_MAX,
  TARGET_BYTES_MAX,
} from './limits.js';

const SEGMENT = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;
// Alternating runs, not nested repetition: linear in the length of any input.
const OBJECT_NAME = /^[A-Za-z0-9]+(?:[-_]+[A-Za-z0-9]+)*$/;
// eslint-disable-next-line no-control-regex -- control characters are what is refused
const CONTROL = /[\u0000-\u001f\u007f\ufeff]/;

/** True when the text has control characters or byte order marks, which decoders drop at will. */
export function hasControl(text: string): boolean {
  return CONTROL.test(text);
}

const utf8Length = (text: string): number => {
  let count = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    count += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return count;
};

/** Bytes of `text` as UTF-8. */
export function byteLength(text: string): number {
  return utf8Length(text);
}

/** The form under which names are unique: lower case. Names are ASCII, so no locale is involved. */
export function canonicalName(name: string): string {
  return name.toLowerCase();
}

/**
 * Checks a secret name: segments of letters and digits with inner `.`, `_`, `-`, joined by `/`.
 * @throws CV_NAME_INVALID with the rule that is broken, never with the text that was given
 */
export function checkSecretName(name: string): void {
  const fail = (rule: string): never => {
    throw new ConclaveError('CV_NAME_INVALID', `secret name ${rule}`, {
      details: { field: 'name' },
    });
  };
  if (name.length === 0) fail('is empty');
  if (name.length > SECRET_NAME_BYTES_MAX) fail(`is over ${SECRET_NAME_BYTES_MAX} bytes`);
  for (const segment of name.split('/')) {
    if (segment.length === 0) fail('has an empty segment');
    if (segment.length > SECRET_SEGMENT_LENGTH_MAX)
      fail(`has a segment over ${SECRET_SEGMENT_LENGTH_MAX} characters`);
    if (!SEGMENT.test(segment))
      fail('may have only A-Z a-z 0-9 and, inside a segment, "." "_" "-", joined by "/"');
  }
}

/**
 * Checks the name of a service, node or stack.
 * @throws CV_NAME_INVALID
 */
export function checkObjectName(what: string, name: string): void {
  if (name.length === 0 || name.length > OBJECT_NAME_LENGTH_MAX || !OBJECT_NAME.test(name)) {
    throw new ConclaveError(
      'CV_NAME_INVALID',
      `${what} name must be 1 to ${OBJECT_NAME_LENGTH_MAX} letters and digits with inner "-" or "_"`,
      { details: { field: 'name' } },
    );
  }
}

/**
 * Checks labels: at most 64 pairs, key 1 to 128 bytes, value up to 256 bytes, no control characters.
 * @throws CV_ARGUMENT_INVALID
 */
export function checkLabels(labels: Readonly<Record<string, string>>): void {
  const fail = (rule: string): never => {
    throw new ConclaveError('CV_ARGUMENT_INVALID', `labels: ${rule}`, {
      details: { field: 'labels' },
    });
  };
  const pairs = Object.entries(labels);
  if (pairs.length > LABEL_COUNT_MAX) fail(`more than ${LABEL_COUNT_MAX} pairs`);
  for (const [key, value] of pairs) {
    if (key.length === 0 || byteLength(key) > LABEL_KEY_BYTES_MAX)
      fail(`a key must have 1 to ${LABEL_KEY_BYTES_MAX} bytes`);
    if (byteLength(value) > LABEL_VALUE_BYTES_MAX)
      fail(`a value may have ${LABEL_VALUE_BYTES_MAX} bytes`);
    if (hasControl(key) || hasControl(value)) fail('control characters are not allowed');
  }
}

/**
 * Checks the file name of a binding: one path element, no control characters, not "." or "..".
 * The API and the agent both call it.
 * @throws CV_ARGUMENT_INVALID
 */
export function checkTarget(target: string): void {
  const fail = (rule: string): never => {
    throw new ConclaveError('CV_ARGUMENT_INVALID', `target ${rule}`, {
      details: { field: 'target' },
    });
  };
  if (target.length === 0) fail('is empty');
  if (byteLength(target) > TARGET_BYTES_MAX) fail(`is over ${TARGET_BYTES_MAX} bytes`);
  if (target.includes('/')) fail('may not contain "/"');
  if (target.includes('..')) fail('may not contain ".."');
  if (target.startsWith('.')) fail('may not begin with "."');
  if (target.endsWith('.')) fail('may not end with "."');
  if (hasControl(target)) fail('may not contain control characters');
  if (target !== target.trim()) fail('may not begin or end with white space');
}

/** Write permission for the group and for everybody. */
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Checks the mode of a file with a value: permission bits only (no set-id, no sticky bit), and only
 * the owner may write. The command line, the API and the agent all call it.
 * @throws CV_ARGUMENT_INVALID
 */
export function checkFileMode(mode: number): void {
  const isPlain = Number.isSafeInteger(mode) && mode >= 0 && mode <= FILE_MODE_MAX;
  if (isPlain && (mode & WRITABLE_BY_OTHERS) === 0) return;
  throw new ConclaveError(
    'CV_ARGUMENT_INVALID',
    'mode must be octal 0000 to 0755, without write permission for group or others',
    { details: { field: 'mode' } },
  );
}
