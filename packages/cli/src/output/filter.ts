import { usageError } from '../flags.js';

type Row = Readonly<Record<string, unknown>>;

/** True for the rows to show. */
export type Filter = (row: Row) => boolean;

const same = (left: string, right: string): boolean => left.toLowerCase() === right.toLowerCase();

function hasLabel(row: Row, wanted: string): boolean {
  const labels = (row['labels'] ?? {}) as Readonly<Record<string, string>>;
  const at = wanted.indexOf('=');
  const key = at === -1 ? wanted : wanted.slice(0, at);
  return Object.hasOwn(labels, key) && (at === -1 || labels[key] === wanted.slice(at + 1));
}

function fits(row: Row, field: string, wanted: string): boolean {
  if (field === 'label') return hasLabel(row, wanted);
  const value = row[field];
  if (Array.isArray(value)) return value.some((item) => same(String(item), wanted));
  const text = typeof value === 'object' ? '' : String(value as string);
  return field === 'name' && wanted.endsWith('*')
    ? text.toLowerCase().startsWith(wanted.slice(0, -1).toLowerCase())
    : same(text, wanted);
}

/**
 * Reads `--filter` texts: `field=value`, `name=web*`, `label=key` or `label=key=value`. Several of
 * one field are alternatives, several fields must all fit; upper and lower case are equal.
 * @throws CV_ARGUMENT_INVALID for another form or an unknown field
 */
export function compileFilter(texts: readonly string[], fields: readonly string[]): Filter {
  const known = fields.includes('labels') ? [...fields, 'label'] : fields;
  const wanted = new Map<string, string[]>();
  for (const text of texts) {
    const at = text.indexOf('=');
    const field = known.find((candidate) => same(candidate, text.slice(0, Math.max(at, 0))));
    if (field === undefined) {
      throw usageError(`--filter must be FIELD=VALUE with one of ${known.join(', ')}`);
    }
    wanted.set(field, [...(wanted.get(field) ?? []), text.slice(at + 1)]);
  }
  return (row) =>
    [...wanted].every(([field, values]) => values.some((value) => fits(row, field, value)));
}
