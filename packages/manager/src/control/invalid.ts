import { byteLength, ConclaveError, hasControl, limits } from '@conclave/kernel';

/** The error for a field that breaks a rule; names the field and the rule, never the value. */
export function invalid(field: string, rule: string): ConclaveError {
  return new ConclaveError('CV_ARGUMENT_INVALID', `${field} ${rule}`, { details: { field } });
}

/** Refuses control characters. @throws CV_ARGUMENT_INVALID */
export function checkPlain(field: string, text: string): void {
  if (hasControl(text)) throw invalid(field, 'may not contain control characters');
}

/** Refuses text over `bytesMax` bytes. @throws CV_ARGUMENT_INVALID */
export function checkBytes(field: string, text: string, bytesMax: number): void {
  if (byteLength(text) > bytesMax) throw invalid(field, `is over ${bytesMax} bytes`);
}

/** Refuses more than `countMax` items. @throws CV_ARGUMENT_INVALID */
export function checkCount(field: string, count: number, countMax: number): void {
  if (count > countMax) throw invalid(field, `has more than ${countMax} items`);
}

/** The number when it is a whole one in the range. @throws CV_ARGUMENT_INVALID */
export function wholeNumber(
  field: string,
  value: number,
  range: readonly [number, number],
): number {
  const [least, most] = range;
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw invalid(field, `must be a whole number from ${least} to ${most}`);
}

/** One of `options`, or the first of them when the text is empty. @throws CV_ARGUMENT_INVALID */
export function oneOf<Option extends string>(
  field: string,
  text: string,
  options: readonly [Option, ...Option[]],
): Option {
  if (text === '') return options[0];
  const found = options.find((option) => option === text);
  if (found !== undefined) return found;
  throw invalid(field, `must be one of: ${options.join(', ')}`);
}

/** Refuses a description over its limit. @throws CV_ARGUMENT_INVALID */
export function checkDescription(text: string): void {
  checkBytes('description', text, limits.DESCRIPTION_BYTES_MAX);
  // Line breaks are fine in a description, other control characters are not.
  checkPlain('description', text.replaceAll(/[\n\t]/g, ' '));
}

/** The object version that an update was based on. @throws CV_ARGUMENT_INVALID when it is absent */
export function demandVersion(objectVersion: number): number {
  if (objectVersion > 0) return objectVersion;
  throw invalid('object_version', 'is missing: read the object and send the version that was read');
}
