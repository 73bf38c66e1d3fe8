import { usageError } from '../flags.js';
import { harmless } from './text.js';

/** Makes one line of one row. */
export type Template = (row: Readonly<Record<string, unknown>>) => string;

const HOLE = /\{\{\s*(json\s+)?\.([A-Za-z0-9_.-]*)\s*\}\}/g;
const ESCAPES: Readonly<Record<string, string>> = { '\\n': '\n', '\\t': '\t', '\\\\': '\\' };

function unescape(text: string): string {
  return text.replaceAll(/\\[nt\\]/g, (pair) => ESCAPES[pair] ?? pair);
}

/** `Name` finds `name`: people know such templates with capital letters. */
function lookUp(row: unknown, path: readonly string[]): unknown {
  let value = row;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    const key = Object.keys(value).find((candidate) => same(candidate, step));
    if (key === undefined) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

const same = (left: string, right: string): boolean => left.toLowerCase() === right.toLowerCase();

function show(value: unknown, isJson: boolean): string {
  if (isJson) return JSON.stringify(value ?? null);
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : harmless(String(value as string));
}

/**
 * Compiles a template: text with holes `{{.field}}`, `{{.spec.name}}`, `{{json .field}}`,
 * `{{json .}}`, and the escapes `\n`, `\t`.
 * @param fields names that a first step may have
 * @throws CV_ARGUMENT_INVALID for another form of hole or an unknown field
 */
export function compileTemplate(text: string, fields: readonly string[]): Template {
  const parts: ((row: Readonly<Record<string, unknown>>) => string)[] = [];
  const literal = (piece: string): void => {
    if (piece.includes('{{') || piece.includes('}}')) {
      throw usageError('--format: a hole has the form {{.field}} or {{json .field}}');
    }
    parts.push(() => unescape(piece));
  };
  let end = 0;
  for (const hole of text.matchAll(HOLE)) {
    const [whole, json, dotted = ''] = hole;
    const path = dotted === '' ? [] : dotted.split('.');
    const isKnown = path[0] === undefined || fields.some((field) => same(field, path[0] ?? ''));
    if (!isKnown) throw usageError(`--format: the fields are ${fields.join(', ')}`);
    literal(text.slice(end, hole.index));
    parts.push((row) => show(lookUp(row, path), json !== undefined || path.length === 0));
    end = hole.index + whole.length;
  }
  literal(text.slice(end));
  return (row) => parts.map((part) => part(row)).join('');
}
