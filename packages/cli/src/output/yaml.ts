/** Words and numbers that YAML 1.1 or 1.2 would not read as text. */
const SPECIAL =
  /^(?:null|true|false|yes|no|on|off|y|n|~|[-+]?[.\d].*|[-+]?\.(?:inf|nan)|e[-+]?\d+|<<|=)$/i;
const PLAIN = /^[A-Za-z0-9_/.](?:[A-Za-z0-9_/.@+ -]*[A-Za-z0-9_/.@+-])?$/;

function scalar(value: unknown): string {
  if (typeof value === 'string') {
    return PLAIN.test(value) && !SPECIAL.test(value) ? value : JSON.stringify(value);
  }
  return JSON.stringify(value ?? null);
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const entriesOf = (map: Record<string, unknown>): [string, unknown][] =>
  Object.entries(map).filter(([, value]) => value !== undefined);

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 : isMap(value) && entriesOf(value).length === 0;
}

/** Lines of a block; nesting is that of our messages, a few levels at most. */
function block(value: unknown): string[] {
  if (Array.isArray(value) && value.length > 0) {
    return value.flatMap((item: unknown) => indent(block(item), '- '));
  }
  if (!isMap(value) || isEmpty(value)) {
    return [Array.isArray(value) ? '[]' : isMap(value) ? '{}' : scalar(value)];
  }
  return entriesOf(value).flatMap(([key, item]) => {
    const isNested = (Array.isArray(item) || isMap(item)) && !isEmpty(item);
    const lines = block(item);
    if (!isNested) return [`${scalar(key)}: ${lines[0] ?? ''}`];
    return [`${scalar(key)}:`, ...lines.map((line) => `  ${line}`)];
  });
}

function indent(lines: readonly string[], first: string): string[] {
  return lines.map((line, offset) => (offset === 0 ? first : '  ') + line);
}

/** Plain data as a YAML document; texts that YAML would misread are quoted as in JSON. */
export function formatYaml(value: unknown): string {
  return `${block(value).join('\n')}\n`;
}

/** One item of a YAML list; the items of a stream put together are the list. */
export function formatYamlItem(value: unknown): string {
  return `${indent(block(value), '- ').join('\n')}\n`;
}
