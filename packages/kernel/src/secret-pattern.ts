import { ConclaveError } from './errors.js';
import { canonicalName, checkSecretName } from './names.js';

const EVERYTHING = '*';
const BELOW = '/*';

/**
 * Checks a pattern of secret names: a name, `name/*` for all names below it, or `*` for all.
 * @throws CV_NAME_INVALID, CV_ARGUMENT_INVALID
 */
export function checkSecretPattern(pattern: string): void {
  if (pattern === EVERYTHING) return;
  const name = pattern.endsWith(BELOW) ? pattern.slice(0, -BELOW.length) : pattern;
  if (name.includes(EVERYTHING)) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', '"*" may only stand alone or behind a last "/"');
  }
  checkSecretName(name);
}

/** True when the pattern covers the name; upper and lower case are equal, as they are for names. */
export function isCovered(name: string, pattern: string): boolean {
  if (pattern === EVERYTHING) return true;
  const wanted = canonicalName(pattern);
  const given = canonicalName(name);
  if (!wanted.endsWith(BELOW)) return given === wanted;
  return given.startsWith(wanted.slice(0, -1)) && given.length >= wanted.length;
}
